"""The stylizer's loop: events in, segments out; an event is done once its effects are durable."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import structlog

from shared.contracts.errors import ChunkError, MessageError, PermanentError
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.messages import ChunkFailed, ChunkReady, SegmentReady, decode
from shared.contracts.segment_place import ENCODER, STYLES, UNPAINTED, SegmentPlace
from shared.contracts.status import readable_status
from shared.contracts.style_request import StyleRequest
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.hubs.publisher import Publisher
from shared.hubs.workers import OneAtATime
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts, Content
from shared.storage.retry import Retry
from shared.storage.seals import seal
from shared.telemetry import tracing
from stylizer.attempts.counter import MISSING, was_begun
from stylizer.attempts.retrying import RetryingPainter, Segment
from stylizer.metrics import StylizerMetrics
from stylizer.settings import StylizerSettings

log = structlog.get_logger()

_CAUSE_LENGTH = 1000


class Stylizer:
    """Turns chunks into segments, several at once.

    Every event takes the same steps: decode it, fetch the chunk, find a stored segment or else
    paint and store one, announce it. Each step works on what the previous one returned.
    """

    def __init__(
        self,
        settings: StylizerSettings,
        blobs: BlobStore,
        segments: Publisher,
        painter: RetryingPainter,
        version: Callable[[StyleRequest], str],
        metrics: StylizerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._segments = segments
        self._painter = painter
        self._version = version
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._dead_letters = DeadLetters(
            blobs, settings.dead_letters_container, settings.frames_hub
        )
        self._same_chunk = OneAtATime()

    async def stylize(self, delivery: Delivery) -> None:
        """Paint the event's chunk and announce its segment, or announce that the chunk failed.

        Raises:
            MessageError: the event is not a reference to a chunk.
            GivenBack: the service is shutting down; another worker gets the event.
        """
        event = _reference(delivery)
        tracing.annotate(job_id=event.job_id, chunk=event.chunk.index)
        async with self._same_chunk.of(_name(event)):
            outcome = await self._paint(event, delivery)
            if isinstance(outcome, SegmentReady):
                answered = {"wanted": event.styles, "resend": event.resend}
                outcome = outcome.model_copy(update=answered)
            if outcome is not None:
                await self._announce(outcome)

    def _painted_before(self, event: ChunkReady, existing: BlobFacts | None) -> SegmentReady | None:
        """Return a stored segment's announcement; None if it is missing or must be replaced."""
        if existing is None or self._must_replace(existing, event):
            return None
        self._metrics.chunk("duplicate")
        return SegmentReady.of_stored(event.job_id, event.chunk, existing.metadata)

    async def _paint(
        self, event: ChunkReady, delivery: Delivery
    ) -> SegmentReady | ChunkFailed | None:
        """Make the segment and return what to announce; None if the job has ended."""
        chunk, existing = None, None
        try:
            chunk = await self._fetch(event)
            # Where no attempt was begun there is no segment to look for.
            if chunk is None or was_begun(chunk):
                existing = await self._stored(event)
            if done := self._painted_before(event, existing):
                return done
            if chunk is None:
                raise ChunkError(
                    MISSING, f"the frames of chunk {event.chunk.index} no longer exist in storage"
                )
            if existing is not None and not existing.metadata.get(ENCODER):
                # A segment encoded on a GPU never replaces one encoded on the processor.
                event = event.model_copy(update={"on_processor": True})
            started = time.monotonic()
            segment = await self._painter.paint(event, _name(event), chunk)
            work_s = time.monotonic() - started
        except PermanentError as error:
            return await self._answer_fault(delivery, event, chunk, existing, error)
        return await self._keep(event, segment, work_s)

    async def _answer_fault(
        self,
        delivery: Delivery,
        event: ChunkReady,
        chunk: Content | None,
        existing: BlobFacts | None,
        error: PermanentError,
    ) -> SegmentReady | ChunkFailed | None:
        """Return what to announce of a chunk that cannot be painted; None if the job has ended."""
        if error.code == MISSING and await self._is_over(event.job_id):
            # A late duplicate, or a job that failed, was cancelled or deleted meanwhile.
            self._metrics.chunk("obsolete")
            return None
        if existing is not None and not _is_unjoinable(existing, event):
            # A segment in another version of the style is better than none.
            log.error("chunk not painted again", job_id=event.job_id, exc_info=error)
            return SegmentReady.of_stored(event.job_id, event.chunk, existing.metadata)
        await self._set_aside(delivery, event, error)
        return await self._pass_through(event, chunk, error) or self._failure(event, error)

    async def _keep(self, event: ChunkReady, segment: Segment, work_s: float) -> SegmentReady:
        """Store a segment that took ``work_s`` seconds, unless another worker has stored one."""
        styles = self._version(event.style)
        stored = await self._store(event, segment.data, {STYLES: styles, ENCODER: segment.encoder})
        if not stored and (other := self._painted_before(event, await self._stored(event))):
            return other
        self._metrics.chunk("stylized")
        self._metrics.painted(event.style.at(event.shown_at(0)).style, event.chunk.frames)
        return SegmentReady(
            job_id=event.job_id,
            chunk=event.chunk.index,
            frames=event.chunk.frames,
            work_s=round(work_s, 3),
            gpu=self._settings.on_gpu,
            styles=styles,
            encoder=segment.encoder,
        )

    async def _fetch(self, event: ChunkReady) -> Content | None:
        with self._metrics.timed("download"):
            return await self._retry(
                lambda: self._blobs.fetch(self._settings.frames_container, _name(event))
            )

    async def _store(self, event: ChunkReady, segment: bytes, how: dict[str, str]) -> bool:
        """Store a segment, with ``how`` it was made as metadata; return whether it was stored.

        A segment that is there already stays, unless it must be replaced.
        """
        place = SegmentPlace.of(event.chunk, event.time_base).metadata()
        metadata = {**seal(segment), **place, **{key: value for key, value in how.items() if value}}
        container, name = self._settings.segments_container, _name(event)
        written: dict[str, Any] = {"metadata": metadata, "content_type": "video/mp4"}
        with self._metrics.timed("upload"):
            stored = await self._retry(
                lambda: self._blobs.create(container, name, segment, **written)
            )
            while stored is None:
                existing = await self._stored(event)
                if existing is None or not self._must_replace(existing, event):
                    return False
                replace = functools.partial(self._blobs.replace, etag=existing.etag, **written)
                stored = await self._retry(functools.partial(replace, container, name, segment))
        return True

    def _must_replace(self, segment: BlobFacts, event: ChunkReady) -> bool:
        """Return whether the event asks to replace a stored segment and this worker can do so."""
        if _is_unjoinable(segment, event):
            return True
        painted_with = segment.metadata.get(STYLES, "")
        if not event.styles or painted_with in ("", event.styles):
            return False
        return self._version(event.style) == event.styles

    async def _stored(self, event: ChunkReady) -> BlobFacts | None:
        container, name = self._settings.segments_container, _name(event)
        return await self._retry(lambda: self._blobs.facts(container, name))

    async def _announce(self, outcome: SegmentReady | ChunkFailed) -> None:
        with self._metrics.timed("announce"):
            await self._retry(lambda: self._segments.by_job(outcome))

    async def _set_aside(
        self, delivery: Delivery, event: ChunkReady, error: PermanentError
    ) -> None:
        """Dead-letter the event of a chunk that cannot be painted, for an operator to look at."""
        log.error("chunk failed", job_id=event.job_id, chunk=event.chunk.index, exc_info=error)
        self._metrics.failed(error.code)
        self._metrics.dead_lettered(error.code)
        attempts = await self._painter.attempts(_name(event))
        await self._retry(lambda: self._dead_letters.store(delivery, error, attempts))

    async def _pass_through(
        self, event: ChunkReady, chunk: Content | None, error: PermanentError
    ) -> SegmentReady | None:
        """Store the original frames as the segment, if the settings say so and it is possible."""
        if chunk is None or self._settings.on_chunk_failure != "passthrough":
            return None
        original = await self._painter.pass_through(event, chunk)
        if original is None:
            return None
        self._metrics.passed_through()
        cause = _as_metadata(f"{error.code}: {error.message}")
        await self._store(event, original.data, {UNPAINTED: cause, ENCODER: original.encoder})
        return SegmentReady(
            job_id=event.job_id,
            chunk=event.chunk.index,
            frames=event.chunk.frames,
            unpainted=cause,
            encoder=original.encoder,
        )

    def _failure(self, event: ChunkReady, error: PermanentError) -> ChunkFailed:
        self._metrics.chunk("failed")
        return ChunkFailed(
            job_id=event.job_id, chunk=event.chunk.index, code=error.code, message=error.message
        )

    async def _is_over(self, job_id: str) -> bool:
        """Return whether a job has ended, or has no record, because its user has deleted it."""
        container, name = self._settings.jobs_container, status_blob(job_id)
        record = await self._retry(lambda: self._blobs.read(container, name))
        status = readable_status(record)
        return record is None or (status is not None and status.ended)


def _reference(delivery: Delivery) -> ChunkReady:
    event = decode(delivery.body)
    if not isinstance(event, ChunkReady):
        raise MessageError(f"{event.type} does not belong in this hub")
    return event


def _name(event: ChunkReady) -> str:
    return chunk_blob(event.job_id, event.chunk.index)


def _is_unjoinable(segment: BlobFacts, event: ChunkReady) -> bool:
    """Return whether a stored segment cannot be joined to the others of its job."""
    return event.on_processor and bool(segment.metadata.get(ENCODER))


def _as_metadata(text: str) -> str:
    """Return text as a header value: one line of printable ASCII of limited length."""
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return "".join(c if c.isprintable() else "?" for c in line)[:_CAUSE_LENGTH]
