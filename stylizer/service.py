"""The stylizer's loop: events in, segments out, nothing done before its effects are durable."""

from __future__ import annotations

import asyncio

import structlog

from shared.contracts.errors import ChunkError, MessageError, PermanentError
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.messages import ChunkFailed, ChunkReady, SegmentReady, decode
from shared.contracts.status import Status
from shared.hubs.consumer import Delivery
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.publisher import Publisher
from shared.hubs.workers import OneAtATime, Workers
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobStore, Content
from shared.storage.retry import Retry
from shared.storage.seals import seal
from shared.styles.download import fetch_styles
from shared.telemetry import tracing
from stylizer.attempts.counter import MISSING
from stylizer.attempts.retrying import RetryingPainter
from stylizer.attempts.segments import open_engine
from stylizer.metrics import StylizerMetrics
from stylizer.settings import StylizerSettings

log = structlog.get_logger()

_UNPAINTED = "unpainted"
"""Metadata of a segment that shows the original frames: why. Storage takes ASCII only."""

_CAUSE_LENGTH = 1000


class Stylizer:
    """Sees to it that chunks become segments, several at once."""

    def __init__(
        self,
        settings: StylizerSettings,
        blobs: BlobStore,
        segments: Publisher,
        trials: RetryingPainter,
        metrics: StylizerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._segments = segments
        self._trials = trials
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._dead_letters = DeadLetters(
            blobs, settings.dead_letters_container, settings.frames_hub
        )
        self._same_chunk = OneAtATime()

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
        chunk: Content | None = None
        try:
            chunk = await self._fetch(event, name)
            segment = await self._trials.paint(event, name, chunk)
        except PermanentError as error:
            if error.code == MISSING and await self._ended(event.job_id):
                # A late duplicate, or a job that failed or was cancelled meanwhile.
                self._metrics.chunk("obsolete")
                return
            await self._give_up(event, name, chunk, delivery, error)
            return
        await self._hand_in(event, name, segment)
        self._metrics.chunk("stylized")
        self._metrics.painted(event.style.style, event.chunk.frames)

    async def _fetch(self, event: ChunkReady, name: str) -> Content:
        with self._metrics.timed("download"):
            chunk = await self._retry(
                lambda: self._blobs.fetch(self._settings.frames_container, name)
            )
        if chunk is None:
            raise ChunkError(MISSING, f"the frames of chunk {event.chunk.index} are gone")
        return chunk

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
        attempts = await self._trials.made(name)
        await self._retry(lambda: self._dead_letters.bury(delivery, error, attempts))
        if chunk is not None and self._settings.on_chunk_failure == "passthrough":
            original = await self._trials.pass_through(event, chunk)
            if original is not None:
                self._metrics.passed_through()
                cause = _as_metadata(f"{error.code}: {error.message}")
                await self._hand_in(event, name, original, unpainted=cause)
                return
        self._metrics.chunk("failed")
        failed = ChunkFailed(
            job_id=event.job_id, chunk=event.chunk.index, code=error.code, message=error.message
        )
        await self._retry(lambda: self._segments.by_job(failed))

    async def _ended(self, job_id: str) -> bool:
        record = await self._retry(
            lambda: self._blobs.read(self._settings.jobs_container, status_blob(job_id))
        )
        return record is not None and Status.model_validate_json(record).ended


def _as_metadata(text: str) -> str:
    """Return text as a header takes it: a line of printable ASCII, not too long."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in line)[:_CAUSE_LENGTH]


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
    segments = await clients.publisher(settings.segments_hub)
    trials = RetryingPainter(settings, blobs, engine, metrics, health)
    stylizer = Stylizer(settings, blobs, segments, trials, metrics)
    # For every chunk in a lane one more is on its way in or out, so that lanes never wait for I/O.
    workers = Workers(
        2 * settings.lane_count,
        stylizer.stylize,
        DeadLetters(blobs, settings.dead_letters_container, settings.frames_hub),
        metrics,
    )
    return Service(
        reader(settings.frames_hub, workers.take, settings, blobs, clients, metrics, health),
        workers.finish,
        probes={"storage": lambda: blobs.reach(settings.segments_container)},
        drain=trials.lanes.drain,
    )
