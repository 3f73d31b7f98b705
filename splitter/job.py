"""Split one job's video: run the decoder, ship each chunk as it comes, write the manifest last.

The decoder runs in a slot (`splitter.slots`). A split that waits for the stylizers gives up its
slot when another needs it: it stops its decoder, and later decodes again from the beginning,
skipping the chunks that it has already shipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from shared.contracts.errors import SourceRefused, TransientError
from shared.contracts.layout import side_blob
from shared.contracts.manifest import Chunk, Manifest, Source
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.media.containers import is_full
from shared.media.encodings import smallest_side
from shared.storage.manifests import store_manifest
from shared.storage.sealed_files import SealedFile
from shared.storage.work_folders import free_bytes, more_space, work_folder
from shared.tasks.waits import first_of, is_set_within
from splitter.budget import PAUSE_S
from splitter.cuts import Cuts
from splitter.decoder.process import DecoderKilled, split_in_child
from splitter.decoder.wire import Job
from splitter.job_monitor import JobMonitor, JobOver
from splitter.media.chunking import EncodedChunk
from splitter.media.part import Part
from splitter.media.side_file import CORRUPT_SIDE, corrupt_side
from splitter.media.split import SplitEnd, SplitEvent, SplitOptions
from splitter.openings import Opening
from splitter.pace import Pace
from splitter.settings import SplitterSettings
from splitter.shipping import Outlets, Shipping, changed, clear_up
from splitter.slots import Slots
from splitter.upload import UploadReader

log = structlog.get_logger()

_NO_SPACE: Final = "NO_SPACE"
SPACE: Final = "space in the splitter's work folder"
_STALLED: Final = "DECODER_STALLED"
# A stalled decoder is retried once, with its deadline multiplied by this.
_PATIENCE_AT_LAST: Final = 3


class Extent(NamedTuple):
    """How much of a video there is, after its split."""

    chunks: int
    frames: int


class SplitJob:
    """Splits one video. Idempotent: a second run writes the same blobs and sends the same events.

    ``admit`` is polled until it returns True, before a slot is requested: the uploader may be over
    budget. ``begin`` is awaited once, when the split holds a slot for the first time.
    """

    def __init__(
        self,
        opening: Opening,
        admit: Callable[[], Awaitable[bool]],
        begin: Callable[[], Awaitable[None]],
        settings: SplitterSettings,
        slots: Slots,
        outlets: Outlets,
        monitor: JobMonitor,
    ) -> None:
        self._opening = opening
        self._admit = admit
        self._begin = begin
        self._job_id = opening.job_id
        self._settings = settings
        self._slots = slots
        self._outlets = outlets
        self._upload = UploadReader(
            opening.video, settings.uploads_container, outlets.blobs, outlets.retry
        )
        self._shipping = Shipping(
            settings.frames_container,
            settings.uploads_ahead,
            outlets,
            lambda: self._upload.is_untouched,
        )
        self._cuts = Cuts()
        self._last_try = False
        self._monitor = monitor

    async def run(self) -> Extent:
        """Split the video to its end, store the sealed manifest, and return how much it lists.

        The job may have ended by then: the assembler deletes what it had not when it hears of it.

        Raises:
            SourceRefused: the upload is not a video, or not one that the service accepts.
            JobOver: the job ended in the meantime; what the split had stored is deleted, unless
                intermediates are kept.
            GivenBack: the service is shutting down; another splitter will split the video.
        """
        try:
            try:
                source, end = await self._split_and_monitor()
            finally:
                # Of all attempts: whoever ends the job deletes what there is then, and no more.
                await self._shipping.settle()
        except JobOver:
            await clear_up(self._job_id, self._settings, self._outlets)
            raise
        await self._seal(source, end)
        return Extent(end.chunks, end.frames)

    async def _split_and_monitor(self) -> tuple[Source, SplitEnd]:
        partitions = await self._outlets.retry(self._outlets.frames.partitions)
        pace = Pace(
            self._settings.outstanding_chunks * len(partitions),
            self._settings.pace_patience_s,
            self._outlets.metrics,
        )
        try:
            async with asyncio.TaskGroup() as both:
                monitoring = both.create_task(self._monitor.run(pace, self._cuts))
                split = await self._split_in_turns(pace)
                monitoring.cancel()
        except ExceptionGroup as group:
            raise _root_error(group) from group
        finally:
            pace.end()
        return split

    async def _split_in_turns(self, pace: Pace) -> tuple[Source, SplitEnd]:
        """Split whenever there is a slot, as often as it takes to reach the video's end."""
        begun = alone = False
        await self._wait_for_budget()
        while True:
            self._monitor.waiting_for = "a splitter"
            pause: tuple[str, Callable[[], Coroutine[None, None, object]]] | None = None
            async with self._slots.hold(alone=alone):
                self._monitor.waiting_for = None
                if not begun:
                    await self._begin()
                    begun = True
                try:
                    with _room(self._settings.work_dir) as folder:
                        split = await self._split(folder / "side", pace)
                except SourceRefused as error:
                    alone = self._try_again(error)
                    if error.code == _NO_SPACE:
                        pause = SPACE, self._wait_for_space
                except TransientError as error:
                    log.warning("split waits for storage", job_id=self._job_id, error=str(error))
                    pause = "storage", self._upload.reach
                else:
                    if split is not None:
                        return split
                    alone = False
                    pause = "a stylizer", pace.reopen
            if pause is not None:
                self._monitor.waiting_for, over = pause
                await first_of(over(), self._slots.leaving.wait())

    def _try_again(self, error: SourceRefused) -> bool:
        """Return whether the last attempt, which comes next, should hold all slots.

        Raises:
            SourceRefused: ``error``, if the video is its cause or the last attempt is over.
        """
        neighbours = isinstance(error, DecoderKilled) or error.code == _NO_SPACE
        # Neither is held up by the splits beside it: holding all slots would not help.
        chance = error.code in (_STALLED, CORRUPT_SIDE)
        if self._last_try or not (neighbours or chance):
            raise error
        self._last_try = True
        log.warning("split retried", job_id=self._job_id, code=error.code)
        return neighbours

    async def _wait_for_space(self) -> None:
        """Wait a while for room in the work folder, which other jobs may be about to free."""
        work_dir = self._settings.work_dir
        await more_space(work_dir, free_bytes(work_dir), self._slots.leaving)

    async def _wait_for_budget(self) -> None:
        """Return when the video is admitted or the service is shutting down."""
        admitted = await self._outlets.retry(self._admit)
        if admitted:
            return
        self._monitor.waiting_for = "budget"
        with self._outlets.metrics.over_budget():
            while not admitted:
                if await is_set_within(self._slots.leaving, PAUSE_S):
                    return
                admitted = await self._outlets.retry(self._admit)

    async def _split(self, side: Path, pace: Pace) -> tuple[Source, SplitEnd] | None:
        """Split from the beginning, shipping what was not shipped; None if the slot is called."""
        source: Source | None = None
        end: SplitEnd | None = None
        try:
            async with asyncio.TaskGroup() as shipments, aclosing(self._items(side)) as items:
                async for item in items:
                    match item:
                        case Source():
                            _refuse_small(item, self._opening.style)
                            source = item
                        case EncodedChunk():
                            assert source is not None
                            if not await self._is_next(item.chunk, pace):
                                return None
                            if self._shipping.has(item.chunk):
                                continue
                            event = ChunkReady.of(
                                self._job_id, source, self._opening.style, item.chunk
                            )
                            await self._shipping.begin(shipments, event, item.data)
                        case SplitEnd():
                            end = item
        except ExceptionGroup as group:
            # The group's other members are shipments cancelled because of the first.
            raise _root_error(group) from group
        assert source is not None
        assert end is not None
        if name := self._side_name(source, end):
            file = SealedFile(side, end.side_sha256 or "", corrupt_side)
            self._monitor.waiting_for = "its sound to be stored"
            await self._shipping.ship_side(name, file)
            self._monitor.waiting_for = None
        return source, end

    def _side_name(self, source: Source, end: SplitEnd) -> str | None:
        digest = end.side_sha256
        return digest and side_blob(self._job_id, source.container, digest)

    def _items(self, side: Path) -> AsyncGenerator[SplitEvent]:
        video, style = self._opening.video, self._opening.style
        options = SplitOptions(
            chunk_frames=self._opening.chunk_frames,
            first_chunk_frames=self._opening.first_chunk_frames,
            max_side=style.max_side,
            lines=style.lines,
            part=Part.of(style),
            longest_pause_s=self._opening.longest_pause_s,
            limits=self._settings.limits,
        )
        patience = _PATIENCE_AT_LAST if self._last_try else 1
        return split_in_child(
            self._outlets.decoders,
            self._upload,
            Job(
                video.size,
                options,
                side,
                threads=self._settings.threads,
                required=self._settings.required_layers,
            ),
            frame_deadline_s=patience * self._settings.frame_deadline_s,
        )

    async def _is_next(self, chunk: Chunk, pace: Pace) -> bool:
        """Wait until a chunk may be shipped; False if the slot is called before that."""
        if chunk.index < len(self._cuts):
            if not self._cuts.has(chunk):
                raise changed(chunk)
            return True
        try:
            self._monitor.waiting_for = "a stylizer" if pace.full else None
            if not await pace.ship(self._slots.called):
                return False
        finally:
            self._monitor.waiting_for = None
        self._cuts.append(chunk)
        return True

    async def _seal(self, source: Source, end: SplitEnd) -> None:
        manifest = Manifest(
            job_id=self._job_id,
            video_url=self._opening.video.url,
            video_name=self._opening.video.name,
            etag=self._opening.video.etag,
            uploaded_at=self._opening.video.uploaded_at,
            style=self._opening.style,
            source=source,
            chunks=(),
            frames=end.frames,
            side=self._side_name(source, end),
            side_sha256=end.side_sha256,
            warnings=(*end.warnings, *self._unseen(source)),
            damaged=end.damaged,
        )
        frames = self._settings.frames_container
        await self._outlets.retry(
            lambda: store_manifest(self._outlets.blobs, frames, manifest, self._cuts)
        )

    def _unseen(self, source: Source) -> Iterator[str]:
        """Yield a warning for each style due after the video's end; none where a part is cut."""
        style = self._opening.style
        if style.duration is None and style.max_frames is None:
            end = style.starts_at + self._cuts.end * source.time_base
            yield from style.schedule.unseen(end)


@contextmanager
def _room(work_dir: str | None) -> Iterator[Path]:
    with ExitStack() as held:
        try:
            folder = held.enter_context(work_folder(work_dir))
        except OSError as error:
            if not is_full(error):
                raise
            raise SourceRefused(
                _NO_SPACE,
                "The splitter's work folder is full: give it more space, and upload the video "
                "again.",
            ) from error
        yield folder


def _root_error(group: BaseExceptionGroup) -> BaseException:
    """Return the error that cancelled a group's other members."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _refuse_small(source: Source, style: StyleRequest) -> None:
    least = smallest_side(style.codec)
    if min(source.width, source.height) < least:
        raise SourceRefused(
            "BAD_RESOLUTION",
            f"The picture is {source.width}x{source.height}; as {style.codec} each side must have "
            f"at least {least} pixels: scale it up, or ask for h264.",
        )
