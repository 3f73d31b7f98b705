"""One job's split: runs the decoder, ships each chunk as it comes, and writes the manifest last.

Beside the decoder runs a look-out: it records how far the split has come, and reads in the job's
record how much of it is painted, and whether the job has been ended by others, a failed chunk or a
user who cancels. Then the split ends, too, and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.contracts.errors import StylestreamError
from shared.contracts.layout import (
    chunk_blob,
    chunk_partition,
    manifest_blob,
    progress_blob,
    side_blob,
    status_blob,
)
from shared.contracts.manifest import Chunk, Manifest, Source
from shared.contracts.messages import ChunkReady
from shared.contracts.status import SplitProgress, Status, utc_now
from shared.contracts.style_request import StyleRequest
from shared.hubs.publisher import Publisher
from shared.storage.blobs import BlobStore
from shared.storage.manifests import store_manifest
from shared.storage.retry import Retry
from shared.storage.seals import file_digest, seal
from splitter.decoder.process import split_in_child
from splitter.media.part import Part
from splitter.media.split import EncodedChunk, SplitEnd, SplitOptions
from splitter.metrics import SplitterMetrics
from splitter.pace import Pace
from splitter.settings import SplitterSettings
from splitter.upload import UploadReader, Video

# A split that waits for the stylizers says this often that it is still there.
_SIGN_OF_LIFE_S: Final = 10.0


class JobOver(StylestreamError):
    """The job was ended by others while its video was being split."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a split's products go, and how it tries again."""

    blobs: BlobStore
    frames: Publisher
    segments: Publisher
    metrics: SplitterMetrics
    retry: Retry


class SplitJob:
    """Splits one video. Doing it twice writes the same blobs and sends the same events again."""

    def __init__(
        self,
        job_id: str,
        video: Video,
        style: StyleRequest,
        settings: SplitterSettings,
        outlets: Outlets,
    ) -> None:
        self._job_id = job_id
        self._video = video
        self._style = style
        self._settings = settings
        self._to = outlets
        self._room = asyncio.Semaphore(settings.uploads_ahead)
        self._chunks: list[Chunk] = []
        self._puts: set[asyncio.Task[str | None]] = set()
        self._recorded = SplitProgress(frames=0, chunks=0)
        self._recorded_at = time.monotonic()

    async def run(self) -> Manifest:
        """Split the video to its end and store the sealed manifest.

        Raises:
            SourceRefused: the video is none, or none that the service takes.
            JobOver: the job ended meanwhile; what the split had stored is deleted.
        """
        try:
            with tempfile.TemporaryDirectory(
                prefix="stylestream-", dir=self._settings.work_dir
            ) as folder:
                side = Path(folder) / "side"
                source, end = await self._ship_chunks(side)
                manifest = await self._seal(source, end, side)
            await self._look_at_job()
        except JobOver:
            await self._clean_up()
            raise
        except BaseException:
            # Whoever hears of the failure tidies up: nothing may come into storage after that.
            await asyncio.gather(*self._puts, return_exceptions=True)
            raise
        return manifest

    async def _ship_chunks(self, side: Path) -> tuple[Source, SplitEnd]:
        partitions = await self._to.retry(self._to.frames.partitions)
        pace = Pace(
            self._settings.outstanding_chunks * len(partitions),
            self._settings.pace_patience_s,
            self._to.metrics,
        )
        try:
            async with asyncio.TaskGroup() as shipments:
                look_out = shipments.create_task(self._look_out(pace))
                split = await self._split(side, pace, partitions, shipments)
                look_out.cancel()
        except ExceptionGroup as group:
            # The group's other members are shipments cancelled because of the first.
            raise group.exceptions[0] from group
        finally:
            pace.end()
        return split

    async def _split(
        self, side: Path, pace: Pace, partitions: list[str], shipments: asyncio.TaskGroup
    ) -> tuple[Source, SplitEnd]:
        source: Source | None = None
        options = SplitOptions(
            chunk_frames=self._settings.chunk_frames,
            first_chunk_frames=self._settings.first_chunk_frames,
            max_side=self._style.max_side,
            part=Part.of(self._style),
            longest_pause_s=self._settings.longest_pause_s,
            limits=self._settings.limits,
        )
        items = split_in_child(
            UploadReader(
                self._video, self._settings.uploads_container, self._to.blobs, self._to.retry
            ),
            self._video.size,
            options,
            side,
            frame_deadline_s=self._settings.frame_deadline_s,
            required=self._settings.required_layers,
        )
        async with aclosing(items):
            async for item in items:
                match item:
                    case Source():
                        source = item
                    case EncodedChunk():
                        assert source is not None
                        await pace.ship()
                        await self._room.acquire()
                        self._chunks.append(item.chunk)
                        event = ChunkReady.of(self._job_id, source, self._style, item.chunk)
                        partition = chunk_partition(self._job_id, item.chunk.index, len(partitions))
                        shipments.create_task(self._ship(event, item.data, partitions[partition]))
                    case SplitEnd():
                        end = item
        assert source is not None
        return source, end

    async def _ship(self, event: ChunkReady, data: bytes, partition: str) -> None:
        """Store a chunk, then tell the stylizers: an event's blob is always there."""
        try:
            with self._to.metrics.timed("ship", chunk=event.chunk.index):
                await self._store_chunk(event.chunk, data)
                await self._to.retry(lambda: self._to.frames.to_partition(event, partition))
        finally:
            self._room.release()
        self._to.metrics.chunk("split", event.chunk.frames)

    async def _store_chunk(self, chunk: Chunk, data: bytes) -> None:
        put = asyncio.create_task(
            self._to.retry(
                lambda: self._to.blobs.create(
                    self._settings.frames_container,
                    chunk_blob(self._job_id, chunk.index),
                    data,
                    metadata=seal(data),
                    content_type="video/mp4",
                )
            )
        )
        self._puts.add(put)
        put.add_done_callback(self._puts.discard)
        # Cancelled half way it could still reach storage, behind the back of whoever cleans up.
        await asyncio.shield(put)

    async def _look_out(self, pace: Pace) -> None:
        """Keep the split's record true and the pace informed, until the job is over."""
        while True:
            await asyncio.sleep(self._settings.progress_interval_s)
            await self._record_progress()
            status = await self._look_at_job()
            if status is not None:
                pace.heard(status.chunks_stylized)

    async def _look_at_job(self) -> Status | None:
        record = await self._to.retry(
            lambda: self._to.blobs.read(self._settings.jobs_container, status_blob(self._job_id))
        )
        status = None if record is None else Status.model_validate_json(record)
        if status is not None and status.ended:
            raise JobOver(f"the job is {status.state}")
        return status

    async def _record_progress(self) -> None:
        chunks = self._chunks
        frames = chunks[-1].first_frame + chunks[-1].frames if chunks else 0
        known = (self._recorded.frames, self._recorded.chunks) == (frames, len(chunks))
        if known and time.monotonic() - self._recorded_at < _SIGN_OF_LIFE_S:
            return
        self._recorded = SplitProgress(frames=frames, chunks=len(chunks), at=utc_now())
        self._recorded_at = time.monotonic()
        await self._to.retry(
            lambda: self._to.blobs.replace(
                self._settings.jobs_container,
                progress_blob(self._job_id),
                self._recorded.to_json(),
            )
        )

    async def _clean_up(self) -> None:
        await asyncio.gather(*self._puts, return_exceptions=True)
        if self._settings.keep_intermediates:
            return
        await self._to.retry(
            lambda: self._to.blobs.delete_all(self._settings.frames_container, f"{self._job_id}/")
        )
        for name in (progress_blob(self._job_id), manifest_blob(self._job_id)):
            await self._to.blobs.delete(self._settings.jobs_container, name)

    async def _seal(self, source: Source, end: SplitEnd, side: Path) -> Manifest:
        digest = await asyncio.to_thread(file_digest, side) if end.has_side else None
        manifest = Manifest(
            job_id=self._job_id,
            video_url=self._video.url,
            video_name=self._video.name,
            etag=self._video.etag,
            style=self._style,
            source=source,
            chunks=tuple(self._chunks),
            frames=end.frames,
            side=digest and side_blob(self._job_id, source.container, digest),
            side_sha256=digest,
            warnings=end.warnings,
            damaged=end.damaged,
        )
        await self._to.retry(lambda: self._store(manifest, side))
        return manifest

    async def _store(self, manifest: Manifest, side: Path) -> None:
        if manifest.side is not None:
            await self._to.blobs.create(self._settings.frames_container, manifest.side, side)
        await store_manifest(self._to.blobs, self._settings.jobs_container, manifest)
