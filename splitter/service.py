"""The splitter's loop: uploads in, jobs out."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from shared.contracts.errors import PermanentError, StyleError
from shared.contracts.layout import job_id, manifest_blob, status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import SplitCompleted, SplitFailed, SplitStarted
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.hubs.workers import OneAtATime, Workers
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.styles.download import fetch_styles
from shared.styles.gallery import Gallery, open_gallery
from shared.telemetry import tracing
from splitter.decoder.selftest import check_sandbox
from splitter.intake.acceptance import Acceptance
from splitter.intake.forwarding import Intake
from splitter.intake.style_request import resolve_style
from splitter.intake.uploads import Upload, parse_uploads
from splitter.intake.webhook import Webhook
from splitter.job import JobOver, Outlets, SplitJob
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings
from splitter.upload import Video

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """One version of an upload and how it is to be painted: all that its job is made of.

    ``problem`` is why the style cannot be had: the job is opened to say so.
    """

    job_id: str
    video: Video
    style: StyleRequest
    problem: StyleError | None


class Splitter:
    """Opens a job for every accepted upload and splits its video.

    One event goes through: understand, accept, look up, open, split, announce. What a step returns
    is what the next one works on.
    """

    def __init__(
        self,
        settings: SplitterSettings,
        acceptance: Acceptance,
        gallery: Gallery,
        outlets: Outlets,
    ) -> None:
        self._settings = settings
        self._acceptance = acceptance
        self._gallery = gallery
        self._to = outlets
        self._same_job = OneAtATime()

    async def split(self, delivery: Delivery) -> None:
        """Split the videos that an Event Grid event tells of.

        Raises:
            MessageError: it is no Event Grid event.
        """
        for upload in parse_uploads(delivery.body):
            if self._is_accepted(upload) and (request := await self._look_up(upload)):
                async with self._same_job.of(request.job_id):
                    await self._run(request)

    def _is_accepted(self, upload: Upload) -> bool:
        reason = self._acceptance.refusal(upload)
        if reason is not None:
            log.info("upload ignored", container=upload.container, video=upload.name, reason=reason)
        return reason is None

    async def _look_up(self, upload: Upload) -> SplitRequest | None:
        """Return the job of what lies in storage now; None when the upload is gone.

        What is there now counts: new metadata, such as a style, make a version without an event,
        and the event of a new video meets the job that this one has opened.
        """
        facts = await self._to.retry(lambda: self._to.blobs.facts(upload.container, upload.name))
        if facts is None:
            log.info("upload is gone", video=upload.name)
            return None
        style, problem = resolve_style(
            upload.name, facts.metadata, self._gallery, self._settings.default_style
        )
        job = job_id(upload.container, upload.name, facts.etag, style)
        video = Video(upload.name, facts.url, facts.etag, facts.size)
        return SplitRequest(job, video, style, problem)

    async def _run(self, request: SplitRequest) -> None:
        if await self._has_ended(request.job_id):
            log.info("job ended already", job_id=request.job_id, video=request.video.name)
            return
        await self._open(request)
        outcome = await self._split(request)
        if outcome is not None:
            await self._announce(outcome)

    async def _has_ended(self, job: str) -> bool:
        record = await self._to.retry(
            lambda: self._to.blobs.read(self._settings.jobs_container, status_blob(job))
        )
        return record is not None and Status.model_validate_json(record).ended

    async def _open(self, request: SplitRequest) -> None:
        video, style = request.video, request.style
        tracing.annotate(job_id=request.job_id, style=style.style)
        started = SplitStarted(
            job_id=request.job_id,
            video_name=video.name,
            video_url=video.url,
            etag=video.etag,
            style=style,
        )
        await self._to.retry(lambda: self._to.segments.by_job(started))
        log.info("split started", job_id=request.job_id, video=video.name, style=style.style)

    async def _split(self, request: SplitRequest) -> SplitCompleted | SplitFailed | None:
        """Split the video and return what there is to tell; None when the job ended meanwhile."""
        try:
            if request.problem is not None:
                raise request.problem
            manifest = await self._sealed_before(request.job_id)
            if manifest is None:
                with self._to.metrics.timed("split"):
                    manifest = await SplitJob(
                        request.job_id, request.video, request.style, self._settings, self._to
                    ).run()
        except JobOver as over:
            self._to.metrics.job("over")
            log.info("split ended early", job_id=request.job_id, reason=str(over))
            return None
        except Exception as error:  # a bad upload must never stop its partition
            return self._failure(request.job_id, error)
        return SplitCompleted(
            job_id=manifest.job_id, chunks=len(manifest.chunks), frames=manifest.frames
        )

    async def _sealed_before(self, job: str) -> Manifest | None:
        """Return the manifest of a video that was split to its end before."""
        data = await self._to.retry(
            lambda: self._to.blobs.read(self._settings.jobs_container, manifest_blob(job))
        )
        return None if data is None else Manifest.model_validate_json(data)

    def _failure(self, job: str, error: Exception) -> SplitFailed:
        code = error.code if isinstance(error, PermanentError) else "SPLITTER_ERROR"
        unexpected = None if isinstance(error, PermanentError) else error
        log.warning("split failed", job_id=job, code=code, error=str(error), exc_info=unexpected)
        self._to.metrics.failed(code)
        return SplitFailed(job_id=job, code=code, message=str(error) or type(error).__name__)

    async def _announce(self, outcome: SplitCompleted | SplitFailed) -> None:
        await self._to.retry(lambda: self._to.segments.by_job(outcome))
        if isinstance(outcome, SplitFailed):
            self._to.metrics.job("failed")
            return
        self._to.metrics.job("split")
        log.info(
            "split completed",
            job_id=outcome.job_id,
            frames=outcome.frames,
            chunks=outcome.chunks,
        )


async def build(
    settings: SplitterSettings, clients: AzureClients, metrics: SplitterMetrics, health: Health
) -> Service:
    """Connect a splitter."""
    outcome = await check_sandbox(required=settings.sandbox == "required")
    metrics.sandbox(outcome.layers)
    blobs = BlobStore(await clients.storage())
    outlets = Outlets(
        blobs,
        frames=await clients.publisher(settings.frames_hub),
        segments=await clients.publisher(settings.segments_hub),
        metrics=metrics,
        retry=Retry(metrics),
    )
    settings = await fetch_styles(settings, blobs, outlets.retry)
    gallery = open_gallery(settings.styles_dir, settings.default_style)
    acceptance = Acceptance(settings, (await clients.media_blobs()).url)
    if settings.webhook_port is not None:
        intake = Intake(await clients.sender(settings.uploads_hub))
        await clients.keep(Webhook(settings, acceptance, intake, metrics))
    workers = Workers(
        settings.splits,
        Splitter(settings, acceptance, gallery, outlets).split,
        DeadLetters(blobs, settings.dead_letters_container, settings.uploads_hub),
        metrics,
    )
    return Service(
        reader(settings.uploads_hub, workers.take, settings, blobs, clients, metrics, health),
        workers.finish,
        probes={
            "storage": lambda: blobs.reach(settings.frames_container),
            "users' storage": lambda: blobs.reach(settings.uploads_container),
        },
    )
