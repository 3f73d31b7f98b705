"""The assembler's loop: follows every job from its first event to its published result."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Final

import structlog

from assembler.assembly import Assembly
from assembler.job import Job, opening
from assembler.settings import AssemblerSettings
from shared.azure import AzureClients
from shared.blobs import BlobStore
from shared.consumer import Consumer, Delivery
from shared.dead_letters import DeadLetters
from shared.errors import MessageError, PermanentError
from shared.layout import manifest_blob, status_blob
from shared.manifest import Manifest
from shared.messages import (
    AnyMessage,
    ChunkFailed,
    ChunkReady,
    SegmentReady,
    SplitCompleted,
    SplitFailed,
    SplitStarted,
    decode,
)
from shared.metrics import WorkMetrics
from shared.retry import Retry
from shared.runtime import Service
from shared.status import Status

log = structlog.get_logger()

_REMEMBERED_ENDED: Final = 10_000  # late duplicates of ended jobs then cost no look-up


class Assembler:
    """Owns open jobs. A job's events come from one partition, hence one at a time and in order."""

    def __init__(self, settings: AssemblerSettings, blobs: BlobStore, metrics: WorkMetrics) -> None:
        self._settings = settings
        self._blobs = blobs
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._assembly = Assembly(settings, blobs, metrics)
        self._dead_letters = DeadLetters(
            blobs, settings.dead_letters_container, settings.segments_hub
        )
        self._room = asyncio.Semaphore(settings.assemblies)
        self._jobs: dict[str, Job] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._saving = asyncio.Lock()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._ticking = asyncio.create_task(self._tick())

    async def take(self, delivery: Delivery) -> None:
        """Take up an event: note it, and act when its job is complete or has failed."""
        try:
            await self._retry(lambda: self._note(delivery))
        except Exception as error:  # no event may stop its partition
            code = error.code if isinstance(error, PermanentError) else "UNFORESEEN"
            log.error("event buried", partition=delivery.partition_id, code=code, exc_info=error)
            self._metrics.failed(code)
            await self._bury(delivery, error)

    async def finish(self) -> None:
        """Return when the results in the making are published and all records are stored."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)
        self._ticking.cancel()
        await self._save_all()

    async def _bury(self, delivery: Delivery, error: Exception) -> None:
        await self._retry(lambda: self._dead_letters.bury(delivery, error))
        delivery.done()

    async def _note(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        job = await self._job(event, delivery)
        if job is None:
            delivery.done()
            return
        job.deliveries.append(delivery)
        if job.concluding:
            return
        try:
            await self._apply(event, job)
        except PermanentError as error:
            job.fail(error.code, error.message)
        if job.status.ended or job.completeness.complete:
            self._conclude_soon(job)

    async def _job(self, event: AnyMessage, delivery: Delivery) -> Job | None:
        """Return the event's open job; None when it has ended already."""
        if event.job_id in self._ended:
            return None
        if job := self._jobs.get(event.job_id):
            return job
        stored = await self._blobs.read_with_etag(
            self._settings.jobs_container, status_blob(event.job_id)
        )
        if stored:
            status, etag = Status.model_validate_json(stored[0]), stored[1]
            if status.ended:
                self._remember_ended(event.job_id)
                return None
            job = Job(status, etag, time.monotonic)
        elif isinstance(event, SplitStarted):
            job = Job(opening(event), None, time.monotonic)
            log.info("job opened", job_id=event.job_id, video=event.video_name)
        else:
            raise MessageError(f"{event.type} of a job that was never started", delivery.body)
        self._jobs[job.job_id] = job
        self._metrics.in_hand(+1)
        return job

    async def _apply(self, event: AnyMessage, job: Job) -> None:
        match event:
            case SplitStarted():
                await self._save(job)
            case SegmentReady(chunk=chunk, frames=frames):
                job.announce(chunk, frames)
            case SplitCompleted():
                job.seal(await self._manifest(job.job_id))
            case SplitFailed(code=code, message=message):
                job.fail(code, message)
            case ChunkFailed(chunk=chunk, code=code, message=message):
                job.fail(code, f"chunk {chunk}: {message}")
            case ChunkReady():
                log.warning("a chunk reference in the wrong hub", job_id=event.job_id)

    async def _manifest(self, job_id: str) -> Manifest:
        data = await self._blobs.read(self._settings.jobs_container, manifest_blob(job_id))
        if data is None:
            raise PermanentError("MANIFEST_MISSING", "the job's manifest is gone from storage")
        return Manifest.model_validate_json(data)

    def _conclude_soon(self, job: Job) -> None:
        if not job.concluding:
            job.concluding = True
            task = asyncio.create_task(self._conclude(job))
            self._in_hand.add(task)
            task.add_done_callback(self._note_concluded)

    def _note_concluded(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # The deliveries stay unfinished, so the job comes again after a restart.
            log.error("job left open", exc_info=error)

    async def _conclude(self, job: Job) -> None:
        """Bring a job to its end: publish its result, or its failure."""
        if not job.status.ended:
            await self._assemble(job)
        await self._retry(lambda: self._save(job))
        self._forget(job)
        self._metrics.job(job.status.state)
        if job.status.error:
            self._metrics.failed(job.status.error.code)
        log.info(
            "job ended",
            job_id=job.job_id,
            state=job.status.state,
            frames=job.status.frames,
            result=job.status.result,
            error=job.status.error and job.status.error.message,
        )
        if not self._settings.keep_intermediates:
            await self._retry(lambda: self._clean_up(job.job_id))
        for delivery in job.deliveries:
            delivery.done()

    async def _assemble(self, job: Job) -> None:
        assert job.manifest is not None
        manifest = job.manifest
        async with self._room:
            job.assemble()
            try:
                result = await self._retry(lambda: self._assembly.run(manifest))
            except PermanentError as error:
                job.fail(error.code, error.message)
            except Exception as error:  # a bad job must never stop its partition
                log.error("assembly failed", job_id=job.job_id, exc_info=error)
                job.fail("ASSEMBLER_ERROR", f"{type(error).__name__}: {error}")
            else:
                job.publish(result)

    def _forget(self, job: Job) -> None:
        if self._jobs.pop(job.job_id, None):
            self._metrics.in_hand(-1)
        self._remember_ended(job.job_id)

    def _remember_ended(self, job_id: str) -> None:
        self._ended[job_id] = None
        if len(self._ended) > _REMEMBERED_ENDED:
            self._ended.popitem(last=False)

    async def _clean_up(self, job_id: str) -> None:
        for container in (self._settings.frames_container, self._settings.segments_container):
            await self._blobs.delete_all(container, f"{job_id}/")

    async def _tick(self) -> None:
        """Keep the records near the truth, and fail jobs that nobody works on."""
        while True:
            await asyncio.sleep(self._settings.status_interval_s)
            for job in [job for job in self._jobs.values() if not job.concluding]:
                if job.idle_s > self._settings.stall_timeout_s:
                    job.fail("STALLED", job.explain_stall())
                if job.status.ended:
                    self._conclude_soon(job)
            try:
                await self._save_all()
            except Exception as error:
                log.warning("status records not stored, will try again", error=str(error))

    async def _save_all(self) -> None:
        for job in list(self._jobs.values()):
            await self._save(job)

    async def _save(self, job: Job) -> None:
        """Store a job's record; another assembler's newer record wins, and the job is theirs."""
        async with self._saving:
            if not job.unsaved:
                return
            status = job.status
            name, container = status_blob(job.job_id), self._settings.jobs_container
            if job.etag is None:
                etag = await self._blobs.create(container, name, status.to_json())
            else:
                etag = await self._blobs.replace(container, name, status.to_json(), etag=job.etag)
            if etag is not None:
                job.saved(status, etag)
            else:
                await self._yield_to_other(job)

    async def _yield_to_other(self, job: Job) -> None:
        stored = await self._blobs.read_with_etag(
            self._settings.jobs_container, status_blob(job.job_id)
        )
        if stored is None:
            return
        other = Status.model_validate_json(stored[0])
        if other.ended:
            job.status = other
        job.saved(other, stored[1])


async def build(
    settings: AssemblerSettings, clients: AzureClients, metrics: WorkMetrics
) -> Service:
    """Connect an assembler."""
    assembler = Assembler(settings, BlobStore(await clients.blobs()), metrics)
    consumer = Consumer(
        await clients.consumer(settings.segments_hub),
        assembler.take,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        metrics=metrics.reading(settings.segments_hub),
    )
    return Service(consumer, assembler.finish)
