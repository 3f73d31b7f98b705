"""The stylizer's loop: events in, segments out, nothing done before its effects are durable."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import structlog

from shared.azure import AzureClients
from shared.blobs import BlobStore
from shared.consumer import Consumer, Delivery
from shared.dead_letters import DeadLetters
from shared.errors import ChunkError, MessageError, PermanentError
from shared.layout import chunk_blob, status_blob
from shared.media.chunks import SEGMENT
from shared.messages import ChunkFailed, ChunkReady, SegmentReady, decode
from shared.metrics import WorkMetrics
from shared.publisher import Publisher
from shared.retry import Retry
from shared.runtime import Service
from shared.status import Status
from shared.styles.gallery import Gallery
from shared.workers import Workers
from stylizer.engine import Engine, OnnxEngine
from stylizer.painting import paint_chunk
from stylizer.settings import StylizerSettings

log = structlog.get_logger()


class Stylizer:
    """Paints chunks, several at once, each in its own lane of threads."""

    def __init__(
        self,
        settings: StylizerSettings,
        blobs: BlobStore,
        segments: Publisher,
        engine: Engine,
        metrics: WorkMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._segments = segments
        self._engine = engine
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._encoding = replace(SEGMENT, crf=settings.segment_crf, preset=settings.segment_preset)
        self._lanes = ThreadPoolExecutor(settings.lane_count, thread_name_prefix="lane")

    async def stylize(self, delivery: Delivery) -> None:
        """See to it that the event's chunk is painted, or known to the assembler as failed.

        Raises:
            MessageError: it is no reference to a chunk.
        """
        event = decode(delivery.body)
        if not isinstance(event, ChunkReady):
            raise MessageError(f"{event.type} does not belong into this hub", delivery.body)
        try:
            await self._retry(lambda: self._stylize(event), attempts=self._settings.chunk_attempts)
        except Exception as error:  # a bad chunk must never stop its partition
            await self._give_up(event, error)

    async def _stylize(self, event: ChunkReady) -> None:
        name = chunk_blob(event.job_id, event.chunk.index)
        if await self._blobs.exists(self._settings.segments_container, name):
            self._metrics.chunk("duplicate")
        else:
            with self._metrics.timed("download"):
                mezzanine = await self._blobs.read(self._settings.frames_container, name)
            if mezzanine is None:
                await self._explain_missing(event)
                return
            segment = await asyncio.get_running_loop().run_in_executor(
                self._lanes, self._paint, event, mezzanine
            )
            with self._metrics.timed("upload"):
                await self._blobs.create(
                    self._settings.segments_container, name, segment, content_type="video/mp4"
                )
            self._metrics.chunk("stylized", event.chunk.frames)
        with self._metrics.timed("announce"):
            await self._segments.by_job(
                SegmentReady(
                    job_id=event.job_id, chunk=event.chunk.index, frames=event.chunk.frames
                )
            )

    def _paint(self, event: ChunkReady, mezzanine: bytes) -> bytes:
        with self._metrics.timed("paint"):
            return paint_chunk(
                event,
                mezzanine,
                functools.partial(self._engine.paint, event.style.style),
                batch=self._settings.batch_size,
                encoding=self._encoding,
            )

    async def _explain_missing(self, event: ChunkReady) -> None:
        """Accept that a chunk is gone when its job has ended: its event was a late duplicate."""
        record = await self._blobs.read(self._settings.jobs_container, status_blob(event.job_id))
        if record is None or not Status.model_validate_json(record).ended:
            raise ChunkError("CHUNK_MISSING", f"the frames of chunk {event.chunk.index} are gone")
        self._metrics.chunk("obsolete")

    async def _give_up(self, event: ChunkReady, error: Exception) -> None:
        code = error.code if isinstance(error, PermanentError) else "STYLIZER_ERROR"
        log.error(
            "chunk failed", job_id=event.job_id, chunk=event.chunk.index, code=code, exc_info=error
        )
        self._metrics.chunk("failed")
        self._metrics.failed(code)
        failed = ChunkFailed(
            job_id=event.job_id,
            chunk=event.chunk.index,
            code=code,
            message=str(error) or type(error).__name__,
        )
        await self._retry(lambda: self._segments.by_job(failed))


async def build(settings: StylizerSettings, clients: AzureClients, metrics: WorkMetrics) -> Service:
    """Connect a stylizer, its default style loaded.

    Raises:
        ConfigurationError: the device or a style that the settings ask for cannot be had.
    """
    gallery = Gallery(Path(settings.styles_dir) if settings.styles_dir else None)
    engine = OnnxEngine(gallery, settings.engine, settings.gpu_mem_limit_mib)
    await asyncio.to_thread(engine.load, settings.default_style)
    blobs = BlobStore(await clients.blobs())
    stylizer = Stylizer(
        settings, blobs, Publisher(await clients.producer(settings.segments_hub)), engine, metrics
    )
    # For every chunk in a lane one more is on its way in or out, so that lanes never wait for I/O.
    workers = Workers(
        2 * settings.lane_count,
        stylizer.stylize,
        DeadLetters(blobs, settings.dead_letters_container, settings.frames_hub),
        metrics,
    )
    consumer = Consumer(
        await clients.consumer(settings.frames_hub),
        workers.take,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        metrics=metrics.reading(settings.frames_hub),
    )
    return Service(consumer, workers.finish)
