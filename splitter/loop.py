"""The splitter's loop: uploads in, jobs out."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.messages import Message, SplitCompleted, SplitFailed
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.hubs.scarcity import retry_on_scarcity
from shared.hubs.workers import GivenBack, OneAtATime
from shared.storage.descriptions import BlobFacts
from shared.storage.manifests import load_manifest
from shared.storage.statuses import has_ended
from shared.styles.gallery import Gallery
from shared.telemetry import tracing
from splitter.intake.acceptance import Acceptance
from splitter.intake.budgets import Budgets
from splitter.intake.style_request import resolve_style
from splitter.intake.uploads import Upload, parse_uploads
from splitter.job import Extent, SplitJob
from splitter.job_monitor import JobMonitor, JobMonitors, JobOver
from splitter.openings import Opening, Openings
from splitter.request import SplitRequest
from splitter.settings import SplitterSettings
from splitter.shipping import CutChanged, Outlets, clear_up
from splitter.slots import Slots

log = structlog.get_logger()

_UNFORESEEN: Final = (
    "The video could not be split: the splitter's log holds the cause, under the job's id."
)


class Splitter:
    """Opens a job for every accepted upload and splits its video.

    Each event is parsed, accepted, looked up, opened, split and announced; each step works on what
    the one before returned.
    """

    def __init__(
        self,
        settings: SplitterSettings,
        acceptance: Acceptance,
        gallery: Gallery,
        outlets: Outlets,
        check_released: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._acceptance = acceptance
        self._gallery = gallery
        self._outlets = outlets
        self._same_job = OneAtATime()
        self.openings = Openings(
            outlets.blobs,
            settings.frames_container,
            settings.jobs_container,
            settings.split_attempts,
        )
        self._dead_letters = DeadLetters(
            outlets.blobs, settings.dead_letters_container, settings.uploads_hub
        )
        self._budgets = Budgets(
            settings.budget,
            outlets.blobs,
            settings.frames_container,
            settings.jobs_container,
            sharing=settings.budget_of,
        )
        self.slots = Slots(settings.splits)
        self._monitors = JobMonitors(settings, outlets.blobs, outlets.retry)
        self._check_released = check_released

    async def split(self, delivery: Delivery) -> None:
        """Split the videos that an Event Grid event announces.

        Raises:
            MessageError: the delivery is not an Event Grid event.
        """
        uploads = parse_uploads(delivery.body)
        # At once, because each may wait for long: for a slot, for painting or for a budget.
        ends = await asyncio.gather(
            *(self._take_up(upload, delivery) for upload in uploads), return_exceptions=True
        )
        errors = [end for end in ends if isinstance(end, BaseException)]
        if errors:
            # One that is given back counts first: then all of them come again.
            raise next((error for error in errors if isinstance(error, GivenBack)), errors[0])

    async def _take_up(self, upload: Upload, delivery: Delivery) -> None:
        if self._is_accepted(upload) and (request := await self._look_up(upload, delivery)):
            async with self._same_job.of(request.job_id):
                await self._run(request)

    def _is_accepted(self, upload: Upload) -> bool:
        reason = self._acceptance.refusal(upload)
        if reason is not None:
            log.info("upload ignored", container=upload.container, video=upload.name, reason=reason)
        return reason is None

    async def _look_up(self, upload: Upload, delivery: Delivery) -> SplitRequest | None:
        """Return the request for an upload; None if the upload is gone.

        The current version counts: new metadata, such as a style, makes a version without an event,
        and the event of a newer video finds the job that this one opened for it. A split that was
        begun before continues as it was begun.
        """
        retry, openings = self._outlets.retry, self.openings

        async def begun() -> SplitRequest | None:
            found = await retry(lambda: openings.find(upload.name, upload.etag))
            return SplitRequest(upload, found, None, None, delivery) if found else None

        # If the upload is as the event says, writing the opening below also finds an earlier one.
        facts = await retry(lambda: self._outlets.blobs.facts(upload.container, upload.name))
        if facts is None or facts.copying or facts.etag != upload.etag:
            if already := await begun():
                return already
            facts = await retry(lambda: self._settled(upload))
        if facts is None:
            log.info("upload no longer exists", video=upload.name)
            return None
        default = self._settings.default_style
        style, problem = resolve_style(upload.name, facts, self._gallery, default)
        if problem is not None and (already := await begun()):
            return already
        opening = Opening.of(upload.name, facts, style, self._settings)
        versions: list[str | None] = []
        for etag in dict.fromkeys((facts.etag, upload.etag)) if problem is None else ():
            opening, version = await retry(partial(openings.keep, upload.name, etag, opening))
            versions.append(version)
        # If the upload was touched since its event, its split may have been begun.
        untouched = versions[0] if len(versions) == 1 else None
        return SplitRequest(upload, opening, untouched, problem, delivery)

    async def _settled(self, upload: Upload) -> BlobFacts | None:
        """Return the upload's properties; None if it is gone.

        Raises:
            TransientError: its contents are still being copied from elsewhere.
        """
        facts = await self._outlets.blobs.facts(upload.container, upload.name)
        if facts is not None and facts.copying:
            raise TransientError(f"{upload.container}/{upload.name} is still being copied")
        return facts

    async def _run(self, request: SplitRequest) -> None:
        if not request.is_first and await self._has_ended(request.job_id):
            log.info("job ended already", job_id=request.job_id, video=request.upload.name)
            # A splitter that was killed at work on it may have written after the job's cleanup.
            await clear_up(request.job_id, self._settings, self._outlets)
            return
        await self._open(request)
        try:
            outcome = await self._split(request)
        except CutChanged:
            await self._split_anew(request)
            return
        if outcome is not None:
            await self._announce(outcome)

    async def _split_anew(self, request: SplitRequest) -> None:
        """Abandon a job that another release began, and split its video as a new job."""
        opening, name = request.opening.renewed(), request.upload.name
        log.warning("video split again", job_id=request.job_id, as_job=opening.job_id, video=name)
        for etag in dict.fromkeys((opening.video.etag, request.upload.etag)):
            await self._outlets.retry(partial(self.openings.renew, name, etag, opening))
        async with self._same_job.of(opening.job_id):
            await self._run(dataclasses.replace(request, opening=opening, version=None))

    async def _has_ended(self, job: str) -> bool:
        blobs, inside = self._outlets.blobs, self._settings
        containers = inside.jobs_container, inside.frames_container
        return await self._outlets.retry(lambda: has_ended(blobs, *containers, job))

    async def _open(self, request: SplitRequest) -> None:
        """Announce the job before there is a slot for its split, so that its user sees it."""
        style = request.opening.style.style
        tracing.annotate(job_id=request.job_id, style=style)
        if given_up := request.opening.instead_of:
            message = (
                "the splitter was updated while it split this video, and now cuts it "
                f"differently: the video is painted as job {request.job_id}"
            )
            await self._announce(SplitFailed(job_id=given_up, code="SPLIT_ANEW", message=message))
        await self._tell_assembler(request.started(queued=True))
        log.info("job accepted", job_id=request.job_id, video=request.upload.name, style=style)

    async def _admit(self, request: SplitRequest) -> bool:
        video = request.opening.video
        return await self._budgets.admit(video.name, video.size, request.job_id)

    async def _charge(self, request: SplitRequest, frames: int) -> None:
        name, job = request.opening.video.name, request.job_id
        await self._outlets.retry(lambda: self._budgets.charge(name, job, frames))

    async def _begin(self, request: SplitRequest) -> None:
        if request.delivery.will_be_redelivered:
            await self._outlets.retry(self._check_released)
        if request.delivery.will_be_redelivered:
            raise GivenBack("its partition moved to another instance")
        upload, opening = request.upload, request.opening
        await self._outlets.retry(
            lambda: self.openings.begin(upload.name, upload.etag, opening, request.version)
        )
        await self._tell_assembler(request.started(queued=False))
        log.info("split started", job_id=request.job_id, video=upload.name)

    async def _split(self, request: SplitRequest) -> SplitCompleted | SplitFailed | None:
        """Split the video and return the outcome; None if the job ended in the meantime."""
        monitor = self._monitors.of(request.job_id)
        try:
            if request.problem is not None:
                raise request.problem
            extent = await self._sealed_before(request)
            if extent is None:
                with self._outlets.metrics.timed("split"):
                    extent = await retry_on_scarcity(lambda: self._job(request, monitor).run())
            # Also after a split that has ended before: its splitter may have been killed here.
            await self._charge(request, extent.frames)
        except (GivenBack, CutChanged):
            raise
        except JobOver as over:
            self._outlets.metrics.job("over")
            log.info("split ended early", job_id=request.job_id, reason=str(over))
            return None
        except Exception as error:  # a bad upload must never stop its partition
            return await self._failure(request, error)
        return SplitCompleted(
            job_id=request.job_id,
            chunks=extent.chunks,
            frames=extent.frames,
            # Another split, earlier or at the same time, reports its own end, or is begun again.
            leftovers=request.version is None or monitor.has_recorded,
        )

    def _job(self, request: SplitRequest, monitor: JobMonitor) -> SplitJob:
        return SplitJob(
            request.opening,
            lambda: self._admit(request),
            lambda: self._begin(request),
            self._settings,
            self.slots,
            self._outlets,
            monitor,
        )

    async def _sealed_before(self, request: SplitRequest) -> Extent | None:
        """Return what the manifest lists if the video was split to its end before, else None."""
        if request.version is not None:
            return None
        container, job = self._settings.frames_container, request.job_id
        blobs, retry = self._outlets.blobs, self._outlets.retry
        manifest = await retry(lambda: load_manifest(blobs, container, job))
        return None if manifest is None else Extent(len(manifest.chunks), manifest.frames)

    async def _failure(self, request: SplitRequest, error: Exception) -> SplitFailed:
        job = request.job_id
        code = error.code if isinstance(error, PermanentError) else "SPLITTER_ERROR"
        unexpected = None if isinstance(error, PermanentError) else error
        log.warning("split failed", job_id=job, code=code, error=str(error), exc_info=unexpected)
        self._outlets.metrics.failed(code)
        if code == "SPLIT_POISONED":
            self._outlets.metrics.dead_lettered(code)
            attempts = self._settings.split_attempts
            await self._outlets.retry(
                lambda: self._dead_letters.store(request.delivery, error, attempts)
            )
        message = str(error) if unexpected is None else _UNFORESEEN
        return SplitFailed(job_id=job, code=code, message=message)

    async def _announce(self, outcome: SplitCompleted | SplitFailed) -> None:
        await self._tell_assembler(outcome)
        if isinstance(outcome, SplitFailed):
            self._outlets.metrics.job("failed")
            return
        self._outlets.metrics.job("split")
        log.info(
            "split completed",
            job_id=outcome.job_id,
            frames=outcome.frames,
            chunks=outcome.chunks,
        )

    async def _tell_assembler(self, message: Message) -> None:
        await self._outlets.retry(lambda: self._outlets.segments.by_job(message))
