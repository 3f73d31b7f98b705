"""Looks into jobs that make no progress: finds what was lost, and in the end says so.

An event that is lost for good, a hub that was recreated, a stylizer that ended in an unforeseen
way: whatever is missing shows here, is sent again a few times, and then fails its job by name. A
job that merely waits, for its turn or for a pool to start, is left alone.
"""

from __future__ import annotations

import structlog

from assembler.frames_hub import FramesHub
from assembler.job import Job
from assembler.metrics import AssemblerMetrics
from assembler.redrive import Reach
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError
from shared.contracts.layout import manifest_blob, progress_blob
from shared.contracts.manifest import Manifest
from shared.storage.blobs import BlobStore
from shared.telemetry import tracing

log = structlog.get_logger()


class Stalls:
    """Looks into idle jobs, each every ``redrive_after_s`` seconds."""

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        frames: FramesHub,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._frames = frames
        self._metrics = metrics

    async def look(self, jobs: list[Job]) -> None:
        """Look into those of ``jobs`` whose time has come.

        Raises:
            TransientError: the hub or storage is away.
        """
        due = [job for job in jobs if job.due("look", self._settings.redrive_after_s)]
        # One answer serves all jobs: a hub has many partitions, and asking is not cheap.
        reach = await self._frames.reach() if any(job.manifest for job in due) else None
        for job in due:
            if job.let_go:
                continue
            if job.manifest is None:
                await self._look_for_manifest(job)
            elif reach is not None:
                await self._look_for_chunks(job, job.manifest, reach)
            if job.lifeless_s > self._settings.stall_timeout_s:
                job.fail("STALLED", job.explain_stall())

    async def _look_for_manifest(self, job: Job) -> None:
        container = self._settings.jobs_container
        manifest = await self._blobs.read(container, manifest_blob(job.job_id))
        if manifest is not None:
            log.warning("the end of a split was not announced", job_id=job.job_id)
            try:
                job.seal(Manifest.model_validate_json(manifest))
            except ResultError as error:
                job.fail(error.code, error.message)
            return
        progress = await self._blobs.facts(container, progress_blob(job.job_id))
        job.sign_of_life(progress.etag if progress else None)

    async def _look_for_chunks(self, job: Job, manifest: Manifest, reach: Reach) -> None:
        job.sign_of_life(reach)
        missing = await self._frames.places(manifest, job.completeness.missing())
        verdict = job.redrive.judge(missing, reach)
        if verdict.action == "give_up":
            job.fail("STALLED", job.explain_loss(verdict.lost))
        elif verdict.action == "resend":
            log.warning("chunks sent again", job_id=job.job_id, chunks=len(verdict.lost))
            self._metrics.redriven(len(verdict.lost))
            with tracing.span("redrive", {"job_id": job.job_id}, parent=job.trace):
                for chunk in verdict.lost:
                    await self._frames.send_again(manifest, chunk)
