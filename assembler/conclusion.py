"""Brings jobs to their end: results published, records stored, ends announced, storage cleaned."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from assembler.announcements import Announcements
from assembler.assembly import NO_SPACE, Assembly, Published
from assembler.attempts import AssemblyAttempts
from assembler.cleanup import Cleanup
from assembler.drafts import Draft, Drafts
from assembler.job import Job
from assembler.metrics import AssemblerMetrics
from assembler.publication import Publication
from assembler.records import Records
from assembler.settings import AssemblerSettings
from shared.contracts.errors import LockedError, PermanentError, ResultError
from shared.contracts.layout import status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.status import Cost
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.storage.work_folders import free_bytes, more_space
from shared.tasks.waits import is_set_within
from shared.telemetry import tracing

log = structlog.get_logger()

SPACE: Final = "space in the assembler's work folder"

LEASE_LOOK_S: Final = 10.0
"""How often an ended job's record that somebody has leased is tried again."""


class Conclusion:
    """Ends jobs in two steps: `decide` settles the outcome, `clean_up` removes intermediates.

    Before that, `prepare` writes as much of a result as there is, until `decide` or `forget`.

    The caller forgets the job between the two steps: an event that comes after that points to blobs
    that the clean-up may have missed, and `Cleanup.sweep_after` deletes them.
    """

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        records: Records,
        cleanup: Cleanup,
        announcements: Announcements,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._records = records
        self._cleanup = cleanup
        self._announcements = announcements
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._publication = Publication(blobs, settings.results_container, records)
        self._assembly = Assembly(settings, blobs, self._publication, metrics)
        self._attempts = AssemblyAttempts(settings, blobs)
        self._drafts = Drafts(
            settings.drafts,
            partial(
                Draft,
                settings.work_dir,
                self._assembly.materials,
                self._assembly.threads,
                self._attempts.begin_first,
                self._retry,
            ),
        )
        self._room = asyncio.Semaphore(settings.assemblies)
        self._leaving = asyncio.Event()

    def drain(self) -> None:
        """Stop results from waiting for room, and ends of jobs for the end of a lease."""
        self._leaving.set()

    def prepare(self, job: Job) -> None:
        """Write as much of the job's result as possible in the background; return at once."""
        # What was begun for a job that another assembler follows by now, or that ends at this
        # moment, nothing would discard.
        if not (job.released or job.concluding):
            self._drafts.go_on(job)

    def forget(self, job_id: str) -> None:
        """Discard what was prepared for a job; return at once."""
        self._drafts.drop(job_id)

    async def finish(self) -> None:
        """Discard everything that was prepared; return when it is gone."""
        await self._drafts.drop_all()

    async def decide(self, job: Job) -> bool:
        """Publish the job's result, or record its failure; the record is stored on return.

        Return False if a lease on the record keeps it from being stored until this assembler
        leaves: the next one repeats it.
        """
        with tracing.span("assemble", {"job_id": job.job_id}, parent=job.trace):
            result = None if job.status.ended else await self._assemble(job)
        cost = job.cost  # not its record's, which its user may have written
        self.forget(job.job_id)
        # Before its user sees that it has ended, and may delete it
        await self._retry(lambda: self._records.mark_end(job.job_id))
        if not await self._store_end(job):
            return False
        if result and not job.status.result:
            # The user or another assembler ended the job while its result was being made.
            await self._retry(lambda: self._publication.withdraw(job.job_id, result))
        elif result and not await self._follow(job, result):
            return False
        if not job.ended_elsewhere:
            self._count(job, cost)
        return True

    async def _store_end(self, job: Job) -> bool:
        """Store the ended record, even if that has to wait for the end of somebody's lease."""

        async def store() -> bool:
            try:
                await self._records.save(job)
            except LockedError:
                return False
            return True

        if await self._retry(store):
            return True
        record = f"{self._settings.jobs_container}/{status_blob(job.job_id)}"
        log.warning("a lease on the record holds up a job's end", job_id=job.job_id, record=record)
        with self._metrics.record_leased():
            if job.status.result:
                await self._retry(lambda: self._attempts.take_back(job.job_id))
            while not await is_set_within(self._leaving, LEASE_LOOK_S):
                if await self._retry(store):
                    return True
        return False

    async def _follow(self, job: Job, result: str) -> bool:
        """Correct the record if a newer version's result has just taken the name.

        Return what `_store_end` does.
        """
        assert job.manifest is not None
        manifest = job.manifest
        current = await self._retry(lambda: self._publication.find(manifest, result))
        if current == result:
            return True
        job.move(current)
        return await self._store_end(job)

    async def clean_up(self, job: Job) -> None:
        """Announce the job's end, and delete what it no longer needs.

        In this order: by chunks that are still stored, `assembler.recalls` finds a job whose end
        was not announced, although its events are lost.
        """
        await self._retry(lambda: self._announcements.announce(job.status))
        painted = job.manifest if job.status.result else None
        await self._retry(lambda: self._cleanup.sweep(job.job_id, painted, leftovers=job.leftovers))
        await self._retry(lambda: self._records.close(job))

    async def _assemble(self, job: Job) -> str | None:
        """Make and publish the result, and return its name; None if the job failed."""
        assert job.manifest is not None
        manifest = job.manifest

        try:
            result = await self._make(job, manifest)
        except PermanentError as error:
            job.fail(error.code, error.message)
        except Exception as error:  # a bad job must never stop its partition
            log.error("assembly failed", job_id=job.job_id, exc_info=error)
            job.fail(
                "ASSEMBLER_ERROR",
                "The result could not be made: the assembler's log holds the cause, under the "
                "job's id.",
            )
        else:
            job.publish(result.name, result.losses)
            return result.name
        return None

    async def _make(self, job: Job, manifest: Manifest) -> Published:
        """Make and publish the result; if the disk is full, wait for room and try once more."""
        draft = self._drafts.of(manifest.job_id)

        async def in_turn() -> Published:
            nonlocal draft
            # Held only while working: a result that waits to be tried again lets others go first.
            async with self._room:
                job.assemble()
                if draft is not None:
                    if published := await self._publish(manifest, draft):
                        return published
                    draft = None
                earlier = await self._attempts.begin(manifest)
                # Before the video is given up, it is made once without tracks beside the picture.
                last = earlier == self._settings.assembly_attempts
                return await self._assembly.run(
                    manifest, picture_only=last, make_room=self._drafts.drop_all
                )

        try:
            return await self._retry(in_turn)
        except ResultError as error:
            if error.code != NO_SPACE:
                raise
            # Other results that fill it, in this process or another, may be done soon.
            before = free_bytes(self._settings.work_dir)
            log.warning("result waiting for space", job_id=manifest.job_id)
            job.wait_for(SPACE)
            if not await more_space(self._settings.work_dir, before, self._leaving):
                raise
        return await self._retry(in_turn)

    async def _publish(self, manifest: Manifest, draft: Draft) -> Published | None:
        """Publish what was written ahead; None if there is nothing or it fails verification."""
        with self._metrics.timed("mux"):
            written = await draft.completed()
        published = None if written is None else await self._assembly.publish(manifest, written)
        if published is None:
            await draft.end()
        return published

    def _count(self, job: Job, cost: Cost) -> None:
        status = job.status
        self._metrics.job(status.state)
        if status.error:
            self._metrics.failed(status.error.code)
        if status.result:
            self._metrics.published(
                status.video_name,
                frames=status.frames,
                video_seconds=job.video_s,
                wait_seconds=job.wait_s,
            )
        self._metrics.worked(status.video_name, cost)
        log.info(
            "job ended",
            job_id=job.job_id,
            state=status.state,
            frames=status.frames,
            result=status.result,
            error=status.error and status.error.message,
        )
