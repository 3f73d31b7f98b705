"""Paints a chunk, in several attempts if necessary, and tells a bad chunk from a broken worker.

The first attempt runs in a lane of this process, later ones in a child process, where a chunk that
crashes or hangs its painter affects nothing else. Attempts are counted in storage, so that the
count outlives the worker. After each failure the worker has to show that it still paints
(`stylizer.attempts.worker_checks`), before the next attempt counts against the chunk. A child that
does not start has not tried the chunk: another is started, and a worker that cannot start any
leaves.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

import av.error
import structlog

from shared.contracts.errors import ChunkError, PermanentError
from shared.contracts.messages import ChunkReady
from shared.hubs.scarcity import NO_THREAD, PATIENCE_S
from shared.hubs.workers import GivenBack
from shared.media.containers import complaint
from shared.service.health import Health
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content
from shared.storage.retry import Retry
from shared.storage.seals import check_seal
from stylizer.attempts import segments
from stylizer.attempts.codecs import Codecs, codecs_of
from stylizer.attempts.counter import AttemptCounter, ChunkAttempts
from stylizer.attempts.isolation import AttemptFailed, IsolatedPainter, NotStarted, Work
from stylizer.attempts.lanes import Lanes
from stylizer.attempts.worker_checks import WorkerChecks, is_out_of_memory
from stylizer.metrics import StylizerMetrics
from stylizer.painting.engine import Engine
from stylizer.painting.memory import PROCESS_BYTES, available, needed, needed_beside_gpu
from stylizer.settings import StylizerSettings

log = structlog.get_logger()

_ISOLATED: Final = 2
"""The first attempt in a process of its own."""

_STARTS: Final = 3


class Segment(NamedTuple):
    """A segment's file, and the value of `SegmentReady.encoder` for it."""

    data: bytes
    encoder: str


class RetryingPainter:
    """Turns chunks into segments, as many at once as there are lanes."""

    def __init__(
        self,
        settings: StylizerSettings,
        blobs: BlobStore,
        engine: Engine,
        metrics: StylizerMetrics,
        health: Health,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics = metrics
        self._health = health
        self._retry = Retry(metrics)
        self._counter = AttemptCounter(blobs, settings.frames_container, settings.chunk_attempts)
        self.lanes = Lanes(settings.lane_count, settings.chunk_deadline_s, health, available())
        self._checks = WorkerChecks(settings, engine, self.lanes, health)

    async def paint(self, event: ChunkReady, name: str, chunk: Content) -> Segment:
        """Return the chunk's segment.

        Raises:
            ChunkError: ``CORRUPT_CHUNK``: the blob is not what was written, or ``CHUNK_POISONED``:
                no attempt is left.
            PermanentError: the chunk or its style cannot be painted.
            GivenBack: the service is shutting down, or has to.
        """
        check_seal(chunk, f"chunk {event.chunk.index}", "CORRUPT_CHUNK")
        last = AttemptFailed("it ended the processes that tried")
        attempts = self._counter.of(name, chunk, event)
        while attempt := attempts.upcoming:
            async with self.lanes.free(self._needed(event, attempt)):
                try:
                    segment = await self._attempt(attempts, attempt, event, chunk.data)
                except AttemptFailed as failure:
                    last = failure
                    await self._look_into(failure, event, attempt)
                except PermanentError as fault:
                    await self._checks.check_styles(fault)
                    raise
                else:
                    if segment is not None:
                        return segment
        limit = self._counter.limit
        times = "once" if limit == 1 else f"{limit} times"
        sentence = f"painting failed {times}: {last}"
        raise ChunkError("CHUNK_POISONED", sentence) from last

    async def _look_into(self, failure: AttemptFailed, event: ChunkReady, attempt: int) -> None:
        """Return when another attempt may be made here.

        Raises:
            GivenBack: this worker is the cause of the failure.
        """
        log.warning(
            "attempt failed",
            job_id=event.job_id,
            chunk=event.chunk.index,
            attempt=attempt,
            cause=failure.detail,
        )
        self._checks.check_memory(failure.detail)
        # There may be some again a moment later.
        if is_out_of_memory(failure.detail) or NO_THREAD in failure.detail:
            await asyncio.sleep(PATIENCE_S)
        await self._checks.check(failure)

    def _needed(self, event: ChunkReady, attempt: int) -> int:
        process = PROCESS_BYTES if attempt >= _ISOLATED else 0
        if self._settings.on_gpu:
            batch = self._settings.batch_size(event.width, event.height)
            return process + needed_beside_gpu(event, batch)
        return process + needed(event)

    async def pass_through(self, event: ChunkReady, chunk: Content) -> Segment | None:
        """Return a segment of the chunk's own frames; None when not even that can be made.

        Raises:
            GivenBack: the service is shutting down, or has to.
        """
        try:
            check_seal(chunk, f"chunk {event.chunk.index}", "CORRUPT_CHUNK")
            codecs = codecs_of(event, self._settings)
            async with (
                self.lanes.free(self._needed(event, _ISOLATED)),
                await self._start("pass_through", event, chunk.data, codecs) as child,
            ):
                return await self._segment(child, codecs)
        except (PermanentError, AttemptFailed) as error:
            log.warning(
                "chunk cannot be passed through unpainted", job_id=event.job_id, error=str(error)
            )
            return None

    async def attempts(self, name: str) -> int:
        """Return how many attempts at a chunk were begun."""
        return await self._retry(lambda: self._counter.made(name))

    async def _attempt(
        self, attempts: ChunkAttempts, number: int, event: ChunkReady, mezzanine: bytes
    ) -> Segment | None:
        """Count an attempt and make it; None if another worker has counted one meanwhile."""
        codecs = codecs_of(event, self._settings, number)
        if number < _ISOLATED:
            if not await self._retry(lambda: attempts.begin(number)):
                return None
            self._metrics.attempt("in_process")
            with self._metrics.timed("paint"):
                return await self.lanes.run(lambda: self._paint_here(event, mezzanine, codecs))
        async with await self._start("paint", event, mezzanine, codecs) as child:
            if not await self._retry(lambda: attempts.begin(number)):
                return None
            self._metrics.attempt("isolated")
            with self._metrics.timed("paint"):
                return await self._segment(child, codecs)

    async def _start(
        self, work: Work, event: ChunkReady, mezzanine: bytes, codecs: Codecs
    ) -> IsolatedPainter:
        """Start a child that has the chunk. This worker is to blame for one that does not start.

        What this process keeps for later chunks is not counted, so it is given back first.

        Raises:
            GivenBack: none starts, and the service has failed, or it is shutting down.
        """
        chosen = {
            "ENGINE": self._settings.engine,
            "PRECISION": self._settings.precision,
            "SEGMENT_ENCODER": codecs.encoder,
            "CHUNK_DECODER": codecs.decoder,
        }
        styles = "" if work == "pass_through" else self._engine.version(event.style)
        await asyncio.to_thread(self._engine.trim)
        for left in reversed(range(_STARTS)):
            try:
                return await IsolatedPainter.start(work, event, mezzanine, styles, chosen)
            except NotStarted as failure:
                cause = str(failure)
                log.warning("painter not started", job_id=event.job_id, cause=cause)
                self._checks.check_memory(cause)
                await self._checks.check(failure)
            if left:
                await asyncio.sleep(PATIENCE_S)
                self.lanes.check()
        self._health.fail(f"no process can be started for a suspect chunk: {cause}")
        raise GivenBack("no process can be started for it")

    async def _segment(self, child: IsolatedPainter, codecs: Codecs) -> Segment:
        data = await child.segment(self._settings.chunk_deadline_s)
        return Segment(data, codecs.mark(data))

    def _paint_here(self, event: ChunkReady, mezzanine: bytes, codecs: Codecs) -> Segment:
        batch = self._settings.batch_size(event.width, event.height)
        try:
            data = segments.paint(self._engine, event, mezzanine, batch=batch, codecs=codecs)
            return Segment(data, codecs.mark(data))
        except (PermanentError, AttemptFailed):
            raise
        except Exception as error:  # from a codec or the network: another attempt may succeed
            detail = f"{type(error).__name__}: {error}"
            raise AttemptFailed(_sentence(error), detail) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, av.error.FFmpegError):
        return f"a codec failed, {complaint(error)}"
    return "the stylizer's log holds the cause, under the job's id"
