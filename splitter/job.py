"""One job's split: runs the decoder, ships each chunk as it comes, and writes the manifest last."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

from shared.blobs import BlobStore
from shared.errors import SourceRefused
from shared.layout import chunk_blob, manifest_blob, progress_blob, side_blob
from shared.manifest import Chunk, Manifest, Source
from shared.messages import ChunkReady, SplitCompleted
from shared.metrics import WorkMetrics
from shared.publisher import Publisher
from shared.retry import Retry
from shared.status import SplitProgress
from shared.styles.request import StyleRequest
from splitter.child import split_in_child
from splitter.settings import SplitterSettings
from splitter.split import EncodedChunk, SplitEnd, SplitOptions


@dataclass(frozen=True, slots=True)
class Video:
    """One version of an uploaded blob."""

    name: str
    url: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a split's products go, and how it tries again."""

    blobs: BlobStore
    frames: Publisher
    segments: Publisher
    metrics: WorkMetrics
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
        self._recorded_at = time.monotonic()

    async def run(self) -> Manifest:
        """Split the video to its end and publish the sealed manifest.

        Raises:
            SourceRefused: the video is none, or none that the service takes.
        """
        with tempfile.TemporaryDirectory(
            prefix="stylestream-", dir=self._settings.work_dir
        ) as folder:
            side = Path(folder) / "side"
            try:
                source, end = await self._ship_chunks(side)
            except ExceptionGroup as group:
                # The group's other members are shipments cancelled because of the first.
                raise group.exceptions[0] from group
            return await self._seal(source, end, side)

    async def _ship_chunks(self, side: Path) -> tuple[Source, SplitEnd]:
        source: Source | None = None
        options = SplitOptions(
            chunk_frames=self._settings.chunk_frames,
            first_chunk_frames=self._settings.first_chunk_frames,
            max_side=self._style.max_side,
            limits=self._settings.limits,
        )
        items = split_in_child(
            self._read,
            self._video.size,
            options,
            side,
            frame_deadline_s=self._settings.frame_deadline_s,
        )
        async with asyncio.TaskGroup() as shipments, aclosing(items):
            async for item in items:
                match item:
                    case Source():
                        source = item
                    case EncodedChunk():
                        assert source is not None
                        await self._room.acquire()
                        shipments.create_task(self._ship(source, item))
                        await self._record_progress(item.chunk)
                    case SplitEnd():
                        end = item
        assert source is not None
        return source, end

    async def _read(self, offset: int, length: int) -> bytes:
        """Read a range of the upload, of the one version that this job is about."""
        try:
            return await self._to.retry(
                lambda: self._to.blobs.read_range(
                    self._settings.uploads_container,
                    self._video.name,
                    offset,
                    length,
                    self._video.etag,
                )
            )
        except (ResourceModifiedError, ResourceNotFoundError) as error:
            raise SourceRefused(
                "SOURCE_CHANGED", "the upload was replaced or deleted while it was being read"
            ) from error

    async def _ship(self, source: Source, encoded: EncodedChunk) -> None:
        """Store a chunk, then tell the stylizers: an event's blob is always there."""
        event = ChunkReady(
            job_id=self._job_id,
            chunk=encoded.chunk,
            width=source.width,
            height=source.height,
            time_base=source.time_base,
            sample_aspect_ratio=source.sample_aspect_ratio,
            style=self._style,
        )
        try:
            with self._to.metrics.timed("ship"):
                await self._to.retry(
                    lambda: self._to.blobs.create(
                        self._settings.frames_container,
                        chunk_blob(self._job_id, encoded.chunk.index),
                        encoded.data,
                        content_type="video/mp4",
                    )
                )
                partition = await self._partition(encoded.chunk.index)
                await self._to.retry(lambda: self._to.frames.to_partition(event, partition))
        finally:
            self._room.release()
        self._to.metrics.chunk("split", encoded.chunk.frames)

    async def _partition(self, chunk: int) -> str:
        """Deal a job's chunks round the partitions, each job from another start."""
        partitions = await self._to.retry(self._to.frames.partitions)
        return partitions[(crc32(self._job_id.encode()) + chunk) % len(partitions)]

    async def _record_progress(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        if time.monotonic() - self._recorded_at < self._settings.progress_interval_s:
            return
        self._recorded_at = time.monotonic()
        progress = SplitProgress(frames=chunk.first_frame + chunk.frames, chunks=len(self._chunks))
        await self._to.retry(
            lambda: self._to.blobs.replace(
                self._settings.jobs_container, progress_blob(self._job_id), progress.to_json()
            )
        )

    async def _seal(self, source: Source, end: SplitEnd, side: Path) -> Manifest:
        manifest = Manifest(
            job_id=self._job_id,
            video_url=self._video.url,
            video_name=self._video.name,
            etag=self._video.etag,
            style=self._style,
            source=source,
            chunks=tuple(self._chunks),
            frames=end.frames,
            side=side_blob(self._job_id, source.container) if end.has_side else None,
            warnings=end.warnings,
            damaged=end.damaged,
        )
        await self._to.retry(lambda: self._store(manifest, side))
        completed = SplitCompleted(
            job_id=self._job_id, chunks=len(manifest.chunks), frames=manifest.frames
        )
        await self._to.retry(lambda: self._to.segments.by_job(completed))
        return manifest

    async def _store(self, manifest: Manifest, side: Path) -> None:
        if manifest.side is not None:
            await self._to.blobs.create(self._settings.frames_container, manifest.side, side)
        await self._to.blobs.create(
            self._settings.jobs_container,
            manifest_blob(self._job_id),
            manifest.to_json(),
            content_type="application/json",
        )
