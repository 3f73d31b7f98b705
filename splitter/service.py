"""The splitter's loop: uploads in, jobs out."""

from __future__ import annotations

import structlog

from shared.contracts.errors import PermanentError, StyleError
from shared.contracts.layout import job_id, manifest_blob, status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import SplitCompleted, SplitFailed, SplitStarted
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.hubs.consumer import Delivery
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.workers import OneAtATime, Workers
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobFacts, BlobStore
from shared.storage.retry import Retry
from shared.styles.download import fetch_styles
from shared.styles.gallery import Gallery, open_gallery
from shared.telemetry import tracing
from splitter.intake.acceptance import Acceptance
from splitter.intake.forwarding import Intake
from splitter.intake.style_request import style_request
from splitter.intake.uploads import Upload, parse_uploads
from splitter.intake.webhook import Webhook
from splitter.job import JobOver, Outlets, SplitJob, Video
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings

log = structlog.get_logger()


class Splitter:
    """Opens a job for every accepted upload and splits its video."""

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
            if reason := self._acceptance.refusal(upload):
                log.info(
                    "upload ignored", container=upload.container, video=upload.name, reason=reason
                )
            else:
                await self._split_upload(upload)

    async def _split_upload(self, upload: Upload) -> None:
        facts = await self._to.retry(lambda: self._to.blobs.facts(upload.container, upload.name))
        if facts is None:
            log.info("upload is gone", video=upload.name)
            return
        # What is there now counts: new metadata, such as a style, make a version without an event,
        # and the event of a new video meets the job that this one has opened.
        style, problem = self._wish(upload, facts)
        job = job_id(upload.container, upload.name, facts.etag, style)
        async with self._same_job.of(job):
            if await self._ended(job):
                log.info("job ended already", job_id=job, video=upload.name)
                return
            await self._run(
                job, Video(upload.name, facts.url, facts.etag, facts.size), style, problem
            )

    def _wish(self, upload: Upload, facts: BlobFacts) -> tuple[StyleRequest, PermanentError | None]:
        """Return the style request, and if it cannot be fulfilled, why: the job tells the user."""
        default = self._settings.default_style
        try:
            request = style_request(upload.name, facts.metadata, self._gallery, default)
        except StyleError as error:
            return StyleRequest(style=default), error
        try:
            self._gallery.find_all(request.style)
        except StyleError as error:
            return request, error
        return request, None

    async def _ended(self, job: str) -> bool:
        record = await self._to.retry(
            lambda: self._to.blobs.read(self._settings.jobs_container, status_blob(job))
        )
        return record is not None and Status.model_validate_json(record).ended

    async def _run(
        self, job: str, video: Video, style: StyleRequest, problem: PermanentError | None
    ) -> None:
        tracing.annotate(job_id=job, style=style.style)
        started = SplitStarted(
            job_id=job, video_name=video.name, video_url=video.url, etag=video.etag, style=style
        )
        await self._to.retry(lambda: self._to.segments.by_job(started))
        log.info("split started", job_id=job, video=video.name, style=style.style)
        try:
            if problem is not None:
                raise problem
            manifest = await self._sealed_before(job)
            if manifest is None:
                with self._to.metrics.timed("split"):
                    manifest = await SplitJob(job, video, style, self._settings, self._to).run()
        except JobOver as over:
            self._to.metrics.job("over")
            log.info("split ended early", job_id=job, reason=str(over))
        except Exception as error:  # a bad upload must never stop its partition
            await self._give_up(job, error)
        else:
            await self._announce(manifest)

    async def _sealed_before(self, job: str) -> Manifest | None:
        """Return the manifest of a video that was split to its end before."""
        data = await self._to.retry(
            lambda: self._to.blobs.read(self._settings.jobs_container, manifest_blob(job))
        )
        return None if data is None else Manifest.model_validate_json(data)

    async def _announce(self, manifest: Manifest) -> None:
        completed = SplitCompleted(
            job_id=manifest.job_id, chunks=len(manifest.chunks), frames=manifest.frames
        )
        await self._to.retry(lambda: self._to.segments.by_job(completed))
        self._to.metrics.job("split")
        log.info(
            "split completed",
            job_id=manifest.job_id,
            frames=manifest.frames,
            chunks=len(manifest.chunks),
        )

    async def _give_up(self, job: str, error: Exception) -> None:
        code = error.code if isinstance(error, PermanentError) else "SPLITTER_ERROR"
        unexpected = None if isinstance(error, PermanentError) else error
        log.warning("split failed", job_id=job, code=code, error=str(error), exc_info=unexpected)
        self._to.metrics.job("failed")
        self._to.metrics.failed(code)
        failed = SplitFailed(job_id=job, code=code, message=str(error) or type(error).__name__)
        await self._to.retry(lambda: self._to.segments.by_job(failed))


async def build(
    settings: SplitterSettings, clients: AzureClients, metrics: SplitterMetrics, health: Health
) -> Service:
    """Connect a splitter."""
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
