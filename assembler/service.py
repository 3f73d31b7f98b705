"""The assembler's loop: follows every job from its first event to its published result."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import Final

import structlog

from assembler.announcements import Announcements, open_announcements
from assembler.conclusion import Conclusion
from assembler.frames_hub import FramesHub
from assembler.job import Job, opening
from assembler.metrics import AssemblerMetrics
from assembler.records import Records
from assembler.settings import AssemblerSettings
from assembler.stalls import Stalls
from shared.contracts.errors import MessageError, PermanentError
from shared.contracts.layout import manifest_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import (
    AnyMessage,
    ChunkFailed,
    ChunkReady,
    SegmentReady,
    SplitCompleted,
    SplitFailed,
    SplitStarted,
    decode,
)
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.telemetry import tracing

log = structlog.get_logger()

_REMEMBERED_ENDED: Final = 10_000  # late duplicates of ended jobs then cost no look-up
# How long nothing may happen to a job before its record is looked at for a user's last word.
_QUIET_S: Final = 3.0


class Assembler:
    """Owns open jobs. A job's events come from one partition, hence one at a time and in order."""

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        frames: FramesHub,
        announcements: Announcements,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._records = Records(blobs, settings.jobs_container, settings.redrives)
        self._stalls = Stalls(settings, blobs, frames, metrics)
        self._conclusion = Conclusion(settings, blobs, self._records, announcements, metrics)
        self._dead_letters = DeadLetters(
            blobs, settings.dead_letters_container, settings.segments_hub
        )
        self._jobs: dict[str, Job] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._in_hand: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        self._ticking = asyncio.create_task(self._tick())

    async def take(self, delivery: Delivery) -> None:
        """Take up an event: note it, and act when its job is complete or has failed."""
        try:
            with tracing.processing(delivery.origin):
                await self._retry(lambda: self._note(delivery))
        except Exception as error:  # no event may stop its partition
            code = error.code if isinstance(error, PermanentError) else "UNFORESEEN"
            log.error("event buried", partition=delivery.partition_id, code=code, exc_info=error)
            self._metrics.failed(code)
            self._metrics.dead_lettered(code)
            await self._bury(delivery, error)

    def let_go(self, partition_id: str) -> None:
        """Forget the open jobs of a partition that is ours no more.

        Their events come again to whoever has it now. Here they would seem to stand still, and be
        failed and swept under the hands of the other.
        """
        for job in list(self._jobs.values()):
            if job.partition_id == partition_id and not job.concluding:
                job.let_go = True
                self._drop(job)

    async def finish(self) -> None:
        """Return when the results in the making are published and all records are stored."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)
        # Not cancelled: half a request to a hub is a connection that nobody closes.
        self._leaving.set()
        await self._ticking
        await self._save_all()

    async def _bury(self, delivery: Delivery, error: Exception) -> None:
        await self._retry(lambda: self._dead_letters.bury(delivery, error))
        delivery.done()

    async def _note(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        tracing.annotate(job_id=event.job_id, event=event.type)
        job = await self._job(event, delivery)
        if job is None:
            await self._conclusion.sweep_after(event)
            delivery.done()
            return
        job.deliveries.append(delivery)
        if job.concluding:
            return
        try:
            if not job.status.ended:
                await self._apply(event, job)
        except PermanentError as error:
            job.fail(error.code, error.message)
        self._conclude_if_over(job)

    async def _job(self, event: AnyMessage, delivery: Delivery) -> Job | None:
        """Return the event's job; None when it has ended and all that follows is done, too.

        A job that somebody ended before is taken up once more: whoever did so, a user or an
        assembler that died just then, may have left its end untold and its blobs behind.
        """
        if event.job_id in self._ended:
            return None
        if job := self._jobs.get(event.job_id):
            return job
        job = await self._records.find(event.job_id)
        if job is None:
            if not isinstance(event, SplitStarted):
                raise MessageError(f"{event.type} of a job that was never started", delivery.body)
            job = self._records.new(opening(event))
            log.info("job opened", job_id=event.job_id, video=event.video_name)
        self._jobs[job.job_id] = job
        self._metrics.in_hand(+1)
        return job

    async def _apply(self, event: AnyMessage, job: Job) -> None:
        match event:
            case SplitStarted():
                await self._records.save(job)
            case SegmentReady():
                job.announce(event)
            case SplitCompleted():
                if job.manifest is None:
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

    def _conclude_if_over(self, job: Job) -> None:
        if job.concluding or job.let_go:
            return
        if not (job.status.ended or job.completeness.complete):
            return
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
        await self._conclusion.decide(job)
        # Before the clean-up: an event that comes later tells of what that may have missed.
        self._drop(job)
        self._remember_ended(job.job_id)
        await self._conclusion.clean_up(job)

    def _drop(self, job: Job) -> None:
        if self._jobs.get(job.job_id) is job:
            del self._jobs[job.job_id]
            self._metrics.in_hand(-1)

    def _remember_ended(self, job_id: str) -> None:
        self._ended[job_id] = None
        if len(self._ended) > _REMEMBERED_ENDED:
            self._ended.popitem(last=False)

    async def _tick(self) -> None:
        """Keep the records near the truth, and look after the jobs that nobody brings forward."""
        while not self._leaving.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.status_interval_s):
                    await self._leaving.wait()
            try:
                await self._look_after_jobs()
            except Exception as error:  # the next round sees to it
                log.warning("jobs not looked after, will try again", error=str(error))
                for job in self._jobs.values():
                    job.unseen()

    async def _look_after_jobs(self) -> None:
        jobs = [job for job in self._jobs.values() if not job.concluding]
        self._metrics.jobs(
            open=len(self._jobs),
            oldest_age_s=max((job.age_s for job in jobs), default=0.0),
            # A sign of life is looked for every `redrive_after_s`: three in a row were missing.
            stalled=sum(job.lifeless_s > 3 * self._settings.redrive_after_s for job in jobs),
        )
        await self._save_all()
        for job in jobs:
            if not job.let_go and job.due("refresh", _QUIET_S):
                await self._records.refresh(job)
        try:
            await self._stalls.look(jobs)
        finally:
            for job in jobs:
                self._conclude_if_over(job)

    async def _save_all(self) -> None:
        for job in list(self._jobs.values()):
            if not job.let_go:
                await self._records.save(job)


async def build(
    settings: AssemblerSettings, clients: AzureClients, metrics: AssemblerMetrics, health: Health
) -> Service:
    """Connect an assembler."""
    blobs = BlobStore(await clients.storage())
    frames = FramesHub(settings, blobs, await clients.publisher(settings.frames_hub))
    announcements = await open_announcements(settings, clients, metrics)
    assembler = Assembler(settings, blobs, frames, announcements, metrics)
    consumer = reader(
        settings.segments_hub, assembler.take, settings, blobs, clients, metrics, health
    )
    consumer.on_released(assembler.let_go)
    return Service(
        consumer,
        assembler.finish,
        probes={
            "storage": lambda: blobs.reach(settings.segments_container),
            "users' storage": lambda: blobs.reach(settings.results_container),
        },
    )
