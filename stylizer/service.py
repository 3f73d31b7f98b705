"""The stylizer's loop: events in, segments out, nothing done before its effects are durable."""

from __future__ import annotations

import asyncio
import functools

import numpy as np
import structlog

from shared import tracing
from shared.azure import AzureClients
from shared.blobs import BlobStore, Content
from shared.consumer import Consumer, Delivery
from shared.dead_letters import DeadLetters
from shared.errors import ChunkError, MessageError, PermanentError
from shared.health import Health
from shared.layout import chunk_blob, status_blob
from shared.messages import ChunkFailed, ChunkReady, SegmentReady, decode
from shared.publisher import Publisher
from shared.retry import Retry
from shared.runtime import Service
from shared.seals import check_seal, seal
from shared.status import Status
from shared.styles.container import fetch_styles
from shared.styles.gallery import open_gallery
from shared.workers import GivenBack, OneAtATime, Workers
from stylizer.attempts import Attempts
from stylizer.engine import Engine, OnnxEngine
from stylizer.isolation import AttemptFailed, Work, run_isolated
from stylizer.lanes import Lanes
from stylizer.metrics import StylizerMetrics
from stylizer.painting import Paint, paint_chunk
from stylizer.settings import StylizerSettings

log = structlog.get_logger()

_UNPAINTED = "unpainted"
"""Metadata of a segment that shows the original frames: why. Storage takes ASCII only."""

_PROBE_SIDE = 64


class Stylizer:
    """Paints chunks, several at once, each in its own lane."""

    def __init__(
        self,
        settings: StylizerSettings,
        blobs: BlobStore,
        segments: Publisher,
        engine: Engine,
        metrics: StylizerMetrics,
        health: Health,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._segments = segments
        self._engine = engine
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._attempts = Attempts(blobs, settings.frames_container)
        self._dead_letters = DeadLetters(
            blobs, settings.dead_letters_container, settings.frames_hub
        )
        self._health = health
        self._same_chunk = OneAtATime()
        self.lanes = Lanes(settings.lane_count, settings.chunk_deadline_s, health)

    async def stylize(self, delivery: Delivery) -> None:
        """See to it that the event's chunk is painted, or known to the assembler as failed.

        Raises:
            MessageError: it is no reference to a chunk.
            GivenBack: the service is leaving; the event is for another.
        """
        event = decode(delivery.body)
        if not isinstance(event, ChunkReady):
            raise MessageError(f"{event.type} does not belong into this hub", delivery.body)
        tracing.annotate(job_id=event.job_id, chunk=event.chunk.index)
        name = chunk_blob(event.job_id, event.chunk.index)
        async with self._same_chunk.of(name):
            facts = await self._retry(
                lambda: self._blobs.facts(self._settings.segments_container, name)
            )
            if facts is not None:
                self._metrics.chunk("duplicate")
                await self._announce(event, facts.metadata.get(_UNPAINTED))
            else:
                await self._make_segment(event, name, delivery)

    async def _make_segment(self, event: ChunkReady, name: str, delivery: Delivery) -> None:
        with self._metrics.timed("download"):
            chunk = await self._retry(
                lambda: self._blobs.fetch(self._settings.frames_container, name)
            )
        if chunk is None and await self._ended(event.job_id):
            # A late duplicate, or a job that failed or was cancelled meanwhile.
            self._metrics.chunk("obsolete")
            return
        try:
            if chunk is None:
                raise ChunkError(
                    "CHUNK_MISSING", f"the frames of chunk {event.chunk.index} are gone"
                )
            segment = await self._paint(event, name, chunk)
        except PermanentError as error:
            await self._give_up(event, name, chunk, delivery, error)
            return
        self._metrics.chunk("stylized")
        self._metrics.painted(event.style.style, event.chunk.frames)
        await self._hand_in(event, name, segment)

    async def _paint(self, event: ChunkReady, name: str, chunk: Content) -> bytes:
        """Return the painted segment, after several attempts if need be.

        Raises:
            PermanentError: the chunk cannot be painted.
        """
        index, limit = event.chunk.index, self._settings.chunk_attempts
        check_seal(chunk, f"chunk {index}", "CORRUPT_CHUNK")
        cause = "it ended the workers that tried"
        async with self.lanes.free() as lane:
            while True:
                attempt = await self._retry(lambda: self._attempts.begin(name, chunk))
                if attempt > limit:
                    raise ChunkError(
                        "CHUNK_POISONED", f"painting chunk {index} failed {limit} times: {cause}"
                    )
                try:
                    with self._metrics.timed("paint"):
                        if attempt == 1:
                            self._metrics.attempt("in_process")
                            return await lane.run(lambda: self._paint_here(event, chunk.data))
                        self._metrics.attempt("isolated")
                        return await self._isolated("paint", event, chunk)
                except AttemptFailed as error:
                    cause = str(error)
                if attempt == 1:
                    await self._question_engine(lane)
                log.warning(
                    "attempt failed",
                    job_id=event.job_id,
                    chunk=index,
                    attempt=attempt,
                    cause=cause,
                )

    def _paint_here(self, event: ChunkReady, mezzanine: bytes) -> bytes:
        try:
            return paint_chunk(
                event,
                mezzanine,
                painter(self._engine, event),
                batch=self._settings.batch_size,
                encoding=self._settings.encoding,
            )
        except PermanentError:
            raise
        except Exception as error:  # whatever a codec or the network raises: worth a second look
            raise AttemptFailed(f"{type(error).__name__}: {error}") from error

    async def _question_engine(self, lane: Lanes) -> None:
        """Find out who failed: a worker whose GPU is gone would condemn every chunk it gets.

        Raises:
            GivenBack: the engine does not paint even a blank frame; the service has failed.
        """
        blank = np.zeros((1, 3, _PROBE_SIDE, _PROBE_SIDE), np.uint8)
        try:
            await lane.run(lambda: self._engine.paint(self._settings.default_style, blank))
        except GivenBack:
            raise
        except Exception as error:
            self._health.fail(f"the engine no longer paints: {error}")
            raise GivenBack("the engine no longer paints") from error

    async def _isolated(self, work: Work, event: ChunkReady, chunk: Content) -> bytes:
        return await run_isolated(work, event, chunk.data, self._settings.chunk_deadline_s)

    async def _hand_in(
        self, event: ChunkReady, name: str, segment: bytes, unpainted: str | None = None
    ) -> None:
        metadata = seal(segment) | ({_UNPAINTED: unpainted} if unpainted else {})
        with self._metrics.timed("upload"):
            await self._retry(
                lambda: self._blobs.create(
                    self._settings.segments_container,
                    name,
                    segment,
                    metadata=metadata,
                    content_type="video/mp4",
                )
            )
        await self._announce(event, unpainted)

    async def _announce(self, event: ChunkReady, unpainted: str | None = None) -> None:
        ready = SegmentReady(
            job_id=event.job_id,
            chunk=event.chunk.index,
            frames=event.chunk.frames,
            unpainted=unpainted,
        )
        with self._metrics.timed("announce"):
            await self._retry(lambda: self._segments.by_job(ready))

    async def _give_up(
        self,
        event: ChunkReady,
        name: str,
        chunk: Content | None,
        delivery: Delivery,
        error: PermanentError,
    ) -> None:
        """Lay the event aside, and let the chunk pass unpainted or its job fail."""
        log.error("chunk failed", job_id=event.job_id, chunk=event.chunk.index, exc_info=error)
        self._metrics.failed(error.code)
        self._metrics.dead_lettered(error.code)
        attempts = await self._retry(lambda: self._attempts.made(name))
        await self._retry(lambda: self._dead_letters.bury(delivery, error, attempts))
        if chunk is not None and self._settings.on_chunk_failure == "passthrough":
            original = await self._original(event, chunk)
            if original is not None:
                self._metrics.passed_through()
                cause = f"{error.code}: {error.message}".encode("ascii", "replace").decode()
                await self._hand_in(event, name, original, unpainted=cause)
                return
        self._metrics.chunk("failed")
        failed = ChunkFailed(
            job_id=event.job_id, chunk=event.chunk.index, code=error.code, message=error.message
        )
        await self._retry(lambda: self._segments.by_job(failed))

    async def _original(self, event: ChunkReady, chunk: Content) -> bytes | None:
        """Return a segment of the chunk's own frames; None when not even that can be made."""
        try:
            check_seal(chunk, f"chunk {event.chunk.index}", "CORRUPT_CHUNK")
            return await self._isolated("pass_through", event, chunk)
        except (PermanentError, AttemptFailed) as error:
            log.warning("chunk cannot pass unpainted", job_id=event.job_id, error=str(error))
            return None

    async def _ended(self, job_id: str) -> bool:
        record = await self._retry(
            lambda: self._blobs.read(self._settings.jobs_container, status_blob(job_id))
        )
        return record is not None and Status.model_validate_json(record).ended


def painter(engine: Engine, event: ChunkReady) -> Paint:
    """Return what paints a chunk's frames in the style that its event asks for."""
    return functools.partial(engine.paint, event.style.style)


def open_engine(settings: StylizerSettings) -> OnnxEngine:
    """Open the engine that the settings ask for.

    Raises:
        ConfigurationError: the device or the styles cannot be had.
    """
    gallery = open_gallery(settings.styles_dir, settings.default_style)
    return OnnxEngine(gallery, settings.engine, settings.gpu_mem_limit_mib, settings.precision)


async def build(
    settings: StylizerSettings, clients: AzureClients, metrics: StylizerMetrics, health: Health
) -> Service:
    """Connect a stylizer, its default style loaded.

    Raises:
        ConfigurationError: the device or a style that the settings ask for cannot be had.
    """
    blobs = BlobStore(await clients.storage())
    settings = await fetch_styles(settings, blobs, Retry(metrics))
    engine = open_engine(settings)
    await asyncio.to_thread(engine.load, settings.default_style)
    metrics.runs_on(settings.engine)
    metrics.offers(engine.styles)
    segments = Publisher(await clients.producer(settings.segments_hub))
    stylizer = Stylizer(settings, blobs, segments, engine, metrics, health)
    # For every chunk in a lane one more is on its way in or out, so that lanes never wait for I/O.
    workers = Workers(
        2 * settings.lane_count,
        stylizer.stylize,
        DeadLetters(blobs, settings.dead_letters_container, settings.frames_hub),
        metrics,
    )
    consumer = Consumer(
        functools.partial(clients.consumer, settings.frames_hub),
        workers.take,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        patience_s=settings.consumer_patience_s,
        metrics=metrics.reading(settings.frames_hub),
        on_hopeless=health.fail,
    )
    return Service(
        consumer,
        workers.finish,
        probes={"storage": lambda: blobs.reach(settings.segments_container)},
        drain=stylizer.lanes.drain,
    )
