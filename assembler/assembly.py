"""Makes and publishes one job's result: fetch, mux, verify, upload."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from assembler.drafts import Written
from assembler.materials import Materials, Segment
from assembler.metrics import AssemblerMetrics
from assembler.mux import mux
from assembler.publication import Publication
from assembler.settings import AssemblerSettings
from assembler.verify import corrupt_result, verify
from shared.contracts.errors import ResultError, StylestreamError, TrackError, TransientError
from shared.contracts.manifest import Manifest
from shared.hubs.scarcity import is_scarcity
from shared.media.containers import is_full
from shared.storage.blobs import BlobStore
from shared.storage.sealed_files import SealedFile
from shared.storage.seals import file_digest
from shared.storage.work_folders import work_folder

log = structlog.get_logger()

NO_SPACE: Final = "NO_SPACE"
_NOT_TRACK_RELATED: Final = ("CORRUPT_RESULT", "SEGMENT_COUNT", "SEGMENT_MISSING")


class Loss(NamedTuple):
    """Something that a result lacks: the code of the cause, and a sentence for the user."""

    code: str
    sentence: str


class Published(NamedTuple):
    """A published result: its blob's name, and a sentence for each of its flaws."""

    name: str
    losses: tuple[str, ...]


class _Made(NamedTuple):
    """A published result, the tracks that it lacks, and the versions of its style."""

    name: str
    losses: list[Loss]
    styles: frozenset[str]


class _Checked(NamedTuple):
    """A result's file that passed verification, and the versions of the style that it shows."""

    file: SealedFile
    styles: frozenset[str]


class Assembly:
    """Turns complete sets of segments into published results."""

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        publication: Publication,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._publication = publication
        self._metrics = metrics
        self.materials: Final = Materials(
            blobs, settings.segments_container, settings.frames_container
        )
        # Not the loop's threads, which resolve host names: the muxer's fetches wait for those.
        self.threads: Final = ThreadPoolExecutor(settings.assemblies, "assembly")

    async def publish(self, manifest: Manifest, written: Written) -> Published | None:
        """Publish a result that was written ahead; return None if it fails verification.

        Raises:
            ResultError: both of its names are taken.
            TransientError: storage stayed unavailable.
        """
        try:
            checked = await self._check(
                manifest, written.side, written.out, frozenset(), written.pictures
            )
        except Exception as error:  # making it from storage then reports the cause
            log.warning("draft result is invalid", job_id=manifest.job_id, exc_info=error)
            return None
        with self._metrics.timed("publish"):
            return Published(await self._publication.publish(manifest, checked), ())

    async def run(
        self,
        manifest: Manifest,
        *,
        picture_only: bool = False,
        make_room: Callable[[], Awaitable[bool]] | None = None,
    ) -> Published:
        """Make the result of ``manifest`` and publish it atomically.

        ``make_room`` frees space in a full work folder; False if there was nothing to free.

        A painted video is not lost for a track beside the picture: a track that cannot be written
        unchanged is left out. All of them are if storage does not return them unchanged, or on
        demand (``picture_only``). Running this twice publishes once: the second run finds the
        first one's result.

        Raises:
            ResultError, ChunkError: the segments do not make exactly the promised result, or there
                is no room to make it (``NO_SPACE``).
            TransientError: storage stayed unavailable.
        """
        try:
            made = await self._make_with_room(manifest, picture_only, make_room)
        except OSError as error:
            if not is_full(error):
                raise
            folder = self._settings.work_dir or tempfile.gettempdir()
            log.error("work folder is full", job_id=manifest.job_id, folder=folder)
            raise ResultError(
                NO_SPACE,
                "the result does not fit into the assembler's work folder: give it more "
                "space (WORK_DIR), and submit the video again",
            ) from error
        except RuntimeError as error:
            if not is_scarcity(error):
                raise
            raise TransientError(
                "the assembler cannot start a thread: it has reached its limit of memory or threads"
            ) from error
        for code in sorted({loss.code for loss in made.losses}):
            self._metrics.lost_tracks(code)
        sentences = [loss.sentence for loss in made.losses]
        return Published(made.name, (*sentences, *_explain_styles(made.styles)))

    async def _make_with_room(
        self,
        manifest: Manifest,
        picture_only: bool,
        make_room: Callable[[], Awaitable[bool]] | None,
    ) -> _Made:
        try:
            return await self._make(manifest, picture_only=picture_only)
        except OSError as error:
            if not is_full(error) or make_room is None or not await make_room():
                raise
        return await self._make(manifest, picture_only=picture_only)

    async def _make(self, manifest: Manifest, *, picture_only: bool) -> _Made:
        with work_folder(self._settings.work_dir) as folder:
            out = folder / f"result.{manifest.source.container}"
            side, losses = None, []
            if picture_only and manifest.side is not None:
                losses = [_without_all(manifest, _poisoned(self._settings.assembly_attempts))]
            else:
                side, losses = await self._take_side(manifest, folder)
            checked, more = await self._write_what_fits(manifest, side, out)
            with self._metrics.timed("publish"):
                name = await self._publication.publish(manifest, checked.file)
            return _Made(name, [*losses, *more], checked.styles)

    async def _take_side(self, manifest: Manifest, folder: Path) -> tuple[Path | None, list[Loss]]:
        """Fetch the copied tracks; if they are missing or damaged, return the loss instead.

        A damaged file is not even opened, since it may hold anything.
        """
        try:
            return await self.materials.side(manifest, folder), []
        except ResultError as error:
            log.error("copied tracks are lost", job_id=manifest.job_id, code=error.code)
            return None, [_without_all(manifest, error)]

    async def _write_what_fits(
        self, manifest: Manifest, side: Path | None, out: Path
    ) -> tuple[_Checked, list[Loss]]:
        """Write a result without the tracks that cannot be written; return it and its losses.

        If writing fails and the track at fault is unknown, the result is written without anything
        beside the picture before it is given up.
        """
        losses: list[Loss] = []
        left_out: frozenset[int] = frozenset()
        while True:
            try:
                return await self._write(manifest, side, out, left_out), losses
            except Exception as error:  # the picture alone may still be written
                if side is None or _is_unrelated_to_tracks(error):
                    raise
                log.error("result cannot be written with a copied track", exc_info=error)
                at_fault = error.tracks - left_out if isinstance(error, TrackError) else frozenset()
                if at_fault:
                    left_out |= at_fault
                    losses += [_without(manifest, n, error) for n in sorted(at_fault)]
                else:
                    side = None
                    losses = [_without_all(manifest, error)]

    async def _write(
        self, manifest: Manifest, side: Path | None, out: Path, left_out: frozenset[int]
    ) -> _Checked:
        loop = asyncio.get_running_loop()
        segments = self._segments(manifest, loop)
        styles: set[str] = set()

        def files() -> Iterator[bytes]:
            for segment in segments:
                styles.add(segment.styles)
                yield segment.data

        with self._metrics.timed("mux"):
            pictures = await loop.run_in_executor(
                self.threads, mux, manifest, files(), side, out, left_out
            )
        file = await self._check(manifest, side, out, left_out, pictures)
        return _Checked(file, frozenset(styles))

    async def _check(
        self,
        manifest: Manifest,
        side: Path | None,
        out: Path,
        left_out: frozenset[int],
        pictures: str,
    ) -> SealedFile:
        loop = asyncio.get_running_loop()
        with self._metrics.timed("verify"):
            # Before the check, so that damage between the two is noticed.
            digest = await loop.run_in_executor(self.threads, file_digest, out)
            await loop.run_in_executor(
                self.threads, verify, manifest, side, out, left_out, pictures
            )
            # After the check, which has compared the copied tracks with this file.
            if side and await loop.run_in_executor(self.threads, file_digest, side) != (
                manifest.side_sha256
            ):
                raise corrupt_result()
        return SealedFile(out, digest, corrupt_result)

    def _segments(self, manifest: Manifest, loop: asyncio.AbstractEventLoop) -> Iterator[Segment]:
        """Yield the segments in order to the muxer's thread, a few fetched ahead."""
        ahead: deque[Future[Segment]] = deque()
        chunks = iter(manifest.chunks)
        while True:
            while len(ahead) < self._settings.downloads_ahead and (chunk := next(chunks, None)):
                fetch = self.materials.segment(manifest.job_id, chunk.index)
                ahead.append(asyncio.run_coroutine_threadsafe(fetch, loop))
            if not ahead:
                return
            yield ahead.popleft().result()


def _is_unrelated_to_tracks(error: Exception) -> bool:
    """Return whether an error comes from segments, storage or the disk, not from a copied track."""
    if isinstance(error, ResultError):
        return error.code in _NOT_TRACK_RELATED
    return isinstance(error, StylestreamError) or is_full(error) or is_scarcity(error)


def _poisoned(attempts: int) -> ResultError:
    times = "once" if attempts == 1 else f"{attempts} times"
    return ResultError(
        "ASSEMBLY_POISONED", f"making the result with them ended its assembler {times}"
    )


def _explain_styles(styles: frozenset[str]) -> list[str]:
    """Say that segments were painted by different networks; unknown ones do not count."""
    if len(styles - {""}) <= 1:
        return []
    return [
        "the style was changed while the video was being painted, and parts show its "
        "earlier version: upload the video again to have all of it in one version"
    ]


def _without(manifest: Manifest, number: int, error: Exception) -> Loss:
    sentence = f"{_named(manifest, number)}, is left out: {_reason(error)}"
    return Loss(_code(error), sentence)


def _without_all(manifest: Manifest, error: Exception) -> Loss:
    numbers = range(len(manifest.source.tracks))
    everything = "; ".join([*(_named(manifest, n) for n in numbers), "any chapters and titles"])
    return Loss(_code(error), f"{everything} are left out: {_reason(error)}")


def _code(error: Exception) -> str:
    return error.code if isinstance(error, ResultError) else "TRACK_DATA"


def _reason(error: Exception) -> str:
    """Say for users what happened; unforeseen errors are for the log only."""
    return str(error) if isinstance(error, ResultError) else "the result cannot be written with it"


def _named(manifest: Manifest, number: int) -> str:
    """Describe one of the copied tracks in a user's terms."""
    if number >= len(manifest.source.tracks):
        return f"copied track {number + 1}"
    track = manifest.source.tracks[number]
    what = ", ".join(word for word in (track.codec, track.language) if word)
    return f"copied track {number + 1}, {track.kind} ({what})"
