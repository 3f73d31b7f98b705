"""The assembler's loop: follows every job from its first event to its published result."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final

import structlog

from assembler.announcements import Announcements
from assembler.attempts import POISONED
from assembler.cleanup import Cleanup
from assembler.conclusion import Conclusion
from assembler.frames_hub import FramesHub
from assembler.job import Job, first_record
from assembler.lingering import Lingering
from assembler.metrics import AssemblerMetrics
from assembler.recalls import Recalls
from assembler.records import Records
from assembler.rounds import Rounds
from assembler.segments_hub import SegmentsHub
from assembler.settings import AssemblerSettings
from assembler.stalls import Stalls
from shared.contracts.errors import MessageError, PermanentError, ResultError
from shared.contracts.messages import (
    AnyMessage,
    ChunkFailed,
    ChunkReady,
    JobRecalled,
    SegmentReady,
    SplitCompleted,
    SplitFailed,
    SplitStarted,
    decode,
)
from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.delivery import Delivery
from shared.hubs.scarcity import retry_on_scarcity
from shared.storage.blobs import BlobStore
from shared.storage.manifests import fetch_manifest, load_manifest
from shared.storage.retry import Retry
from shared.tasks.rounds import Errand, in_rounds
from shared.telemetry import tracing

log = structlog.get_logger()

_REMEMBERED_ENDED: Final = 10_000  # late duplicates of ended jobs then cost no look-up
_LONG_S: Final = 2.0
"""A result that takes longer is mentioned in its job's record while it is being made."""


class Assembler:
    """Follows open jobs. A job's events come from one partition, so one at a time and in order."""

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        frames: FramesHub,
        segments: SegmentsHub,
        announcements: Announcements,
        dead_lettering: DeadLettering,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._records = Records(
            blobs,
            settings.jobs_container,
            settings.results_container,
            settings.frames_container,
            settings.redrives,
        )
        stalls = Stalls(settings, blobs, frames, segments.caught_up, metrics)
        self._rounds = Rounds(settings, self._records, stalls, metrics)
        self._cleanup = Cleanup(settings, blobs)
        self._conclusion = Conclusion(
            settings, blobs, self._records, self._cleanup, announcements, metrics
        )
        self._dead_lettering = dead_lettering
        self._jobs: dict[str, Job] = {}
        self._released: dict[str, Job] = {}
        """Jobs that were let go, until it is certain that their events come again."""
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        lingering = Lingering(settings, blobs)
        recalls = Recalls(settings, blobs, segments, self._is_known)
        self._background = [
            self._in_rounds("jobs", settings.status_interval_s, self._look_after_jobs),
            self._in_rounds("lingering", lingering.interval_s, lingering.delete_overdue),
            self._in_rounds("recalls", settings.redrive_after_s, recalls.recall_forgotten),
        ]

    async def take(self, delivery: Delivery) -> None:
        """Process an event: note it, and conclude its job if that is complete or has failed."""
        await self._dead_lettering.wait_for_room()
        try:
            with tracing.processing(delivery.origin):
                await retry_on_scarcity(lambda: self._retry(lambda: self._note(delivery)))
        except Exception as error:  # no event may stop its partition
            self._start_task(self._dead_lettering.set_aside(delivery, error))

    def release(self, partition_id: str) -> None:
        """Forget the open jobs of a partition that this assembler no longer owns.

        Their events come again to the new owner. Here they would seem to stall, and would be failed
        and cleaned up while the new owner works on them.
        """
        for job in list(self._jobs.values()):
            if job.partition_id == partition_id and not (job.concluding or job.hub.gone):
                self._let_go(job)

    def hub_checked(self) -> None:
        """Take up again the jobs that were released, if their events come to nobody else."""
        for job in self._released.values():
            if job.hub.gone and not self._is_known(job.job_id):
                job.released = False
                self._jobs[job.job_id] = job
                self._metrics.in_hand(+1)
        self._released.clear()

    def drain(self) -> None:
        """Stop waiting for others; the next assembler gets what is left."""
        self._dead_lettering.drain()
        self._conclusion.drain()

    async def finish(self) -> None:
        """Return when all results in progress are published and all records are stored."""
        await self._tasks_done()
        # Not cancelled, because an interrupted request to a hub leaks its connection.
        self._leaving.set()
        await asyncio.gather(*self._background)
        await self._tasks_done()  # also those of jobs that the last round has found to be over
        await self._rounds.save(list(self._jobs.values()))
        await self._conclusion.finish()

    def _in_rounds(
        self, errand: Errand, every_s: float, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None]:
        failed = self._metrics.background_failed
        return asyncio.create_task(in_rounds(errand, every_s, work, failed, until=self._leaving))

    def _is_known(self, job_id: str) -> bool:
        return job_id in self._jobs or job_id in self._ended

    def _start_task(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tasks_done(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _note(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        tracing.annotate(job_id=event.job_id, event=event.type)
        job = await self._job(event, delivery)
        if job is None:
            await self._cleanup.sweep_after(event)
            delivery.done()
            return
        if isinstance(event, JobRecalled) and job.delivery and not job.hub.gone:
            delivery.done()  # the job is followed, and its other events keep it so
            return
        job.take(delivery)
        if job.concluding:
            return
        if isinstance(event, SplitStarted):
            job.identify(event)
        try:
            if not job.status.ended:
                await self._apply(event, job)
        except PermanentError as error:
            job.fail(error.code, error.message)
        self._conclude_if_over(job)
        if not job.concluding and job.is_worth_saving(self._settings.status_interval_s):
            self._start_task(self._rounds.save_early(job))

    async def _job(self, event: AnyMessage, delivery: Delivery) -> Job | None:
        """Return the event's job; None if it was concluded here, was deleted or needs no attention.

        A job that somebody else has ended is taken up once more, because a user, or an assembler
        that died just then, may have left its end unannounced and its blobs behind.
        """
        if event.job_id in self._ended:
            return None
        if job := self._jobs.get(event.job_id):
            return job
        try:
            job = await self._retry(lambda: self._find_or_open(event))
        except MessageError:
            raise
        except PermanentError as error:  # its record is unreadable
            job = await self._open(event)
            if job is not None:
                job.fail(error.code, error.message)
        if job is None:
            return None
        self._jobs[job.job_id] = job
        self._metrics.in_hand(+1)
        if delivery.will_be_redelivered:  # its partition was lost meanwhile
            self._let_go(job)
        return job

    async def _find_or_open(self, event: AnyMessage) -> Job | None:
        if await self._records.is_end_marked(event.job_id):
            # Without its record, its user has deleted it, and its events come again.
            return await self._records.find(event.job_id)
        if isinstance(event, SplitStarted):
            # Usually the job's first event: trying to create the record also looks for one.
            job = self._records.new(first_record(event))
            if await self._records.begin(job):
                log.info("job opened", job_id=event.job_id, video=event.video_name)
                return job
        return await self._records.find(event.job_id) or await self._open(event)

    async def _open(self, event: AnyMessage) -> Job | None:
        """Open a job without a record; None if all there is of it is a recall."""
        started = event if isinstance(event, SplitStarted) else await self._started(event.job_id)
        if started is None and isinstance(event, JobRecalled):
            return None
        if started is None:
            raise MessageError(f"{event.type} of a job that was never started")
        log.info("job opened", job_id=event.job_id, video=started.video_name)
        return self._records.new(first_record(started))

    async def _started(self, job_id: str) -> SplitStarted | None:
        """Rebuild the start event of a job whose first events were lost from its manifest."""
        if self._settings.keep_intermediates:
            return None  # the manifest may be left from a job that has ended
        container = self._settings.frames_container
        manifest = await load_manifest(self._blobs, container, job_id)
        if manifest is None:
            return None
        return SplitStarted(
            job_id=job_id,
            video_name=manifest.video_name,
            video_url=manifest.video_url,
            etag=manifest.etag,
            style=manifest.style,
            uploaded_at=manifest.uploaded_at,
        )

    async def _apply(self, event: AnyMessage, job: Job) -> None:
        match event:
            case SplitStarted():
                job.start(event)
                if job.etag is None:  # other changes wait for the next round
                    await self._retry(lambda: self._records.save(job))
            case SegmentReady():
                first = job.status.first_segment_at is None
                job.announce(event)
                self._conclusion.prepare(job)
                if first and job.first_segment_s is not None:
                    self._metrics.first_segment(job.status.video_name, job.first_segment_s)
            case SplitCompleted():
                job.note_split_end(event)
                if job.manifest is None:
                    container = self._settings.frames_container
                    stored = await self._retry(
                        lambda: fetch_manifest(self._blobs, container, job.job_id)
                    )
                    job.seal(stored.manifest, stored)
                    self._conclusion.prepare(job)
            case SplitFailed(code=code, message=message):
                job.fail(code, message)
            case ChunkFailed(chunk=chunk, code=code, message=message):
                job.fail(code, f"chunk {chunk}: {message}")
            case ChunkReady():
                log.warning("a chunk reference in the wrong hub", job_id=event.job_id)

    def _conclude_if_over(self, job: Job) -> None:
        if job.concluding or job.released:
            return
        if not (job.status.ended or job.completeness.complete):
            return
        job.concluding = True
        self._start_task(self._conclude(job))

    async def _conclude(self, job: Job) -> None:
        assert job.delivery is not None
        try:
            if not await self._conclusion.decide(job):
                self._drop(job)
                return
            if (error := job.status.error) and error.code == POISONED and not job.ended_elsewhere:
                await self._dead_lettering.dead_letter(
                    job.delivery, ResultError(POISONED, error.message)
                )
            # Before the clean-up: a later event then cleans up what that may have missed.
            self._drop(job)
            self._remember_ended(job.job_id)
            await self._conclusion.clean_up(job)
        except Exception as error:  # a job that cannot be concluded must not hold up others
            self._drop(job)
            self._remember_ended(job.job_id)
            if not await self._dead_lettering.dead_letter(job.delivery, error):
                return
        job.done()

    def _let_go(self, job: Job) -> None:
        job.released = True
        self._drop(job)
        self._released[job.job_id] = job

    def _drop(self, job: Job) -> None:
        if self._jobs.get(job.job_id) is job:
            self._conclusion.forget(job.job_id)
            del self._jobs[job.job_id]
            self._metrics.in_hand(-1)

    def _remember_ended(self, job_id: str) -> None:
        self._ended[job_id] = None
        if len(self._ended) > _REMEMBERED_ENDED:
            self._ended.popitem(last=False)

    async def _look_after_jobs(self) -> None:
        """Keep the records up to date, and look after the jobs that make no progress."""
        jobs = [job for job in self._jobs.values() if not job.concluding]
        await self._rounds.run(jobs)
        for job in jobs:
            self._conclude_if_over(job)
        results = (job for job in self._jobs.values() if job.concluding and not job.status.ended)
        await self._rounds.save([job for job in results if job.assembling_s > _LONG_S])
