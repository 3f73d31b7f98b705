"""The splitter's loop: uploads in, jobs out."""

from __future__ import annotations

from pathlib import Path

import structlog

from shared.azure import AzureClients
from shared.blobs import BlobFacts, BlobStore
from shared.consumer import Consumer, Delivery
from shared.dead_letters import DeadLetters
from shared.errors import PermanentError, StyleError
from shared.layout import job_id, status_blob
from shared.messages import SplitFailed, SplitStarted
from shared.metrics import WorkMetrics
from shared.publisher import Publisher
from shared.retry import Retry
from shared.runtime import Service
from shared.status import Status
from shared.styles.gallery import Gallery
from shared.styles.request import StyleRequest
from shared.workers import Workers
from splitter.job import Outlets, SplitJob, Video
from splitter.settings import SplitterSettings
from splitter.uploads import Upload, parse_uploads
from splitter.wishes import style_request

log = structlog.get_logger()


class Splitter:
    """Opens a job for every accepted upload and splits its video."""

    def __init__(self, settings: SplitterSettings, gallery: Gallery, outlets: Outlets) -> None:
        self._settings = settings
        self._gallery = gallery
        self._to = outlets
        self._suffixes = tuple(
            suffix.strip().lower() for suffix in settings.upload_suffixes.split(",")
        )
        self._open: set[str] = set()

    async def split(self, delivery: Delivery) -> None:
        """Split the videos that an Event Grid event tells of.

        Raises:
            MessageError: it is no Event Grid event.
        """
        for upload in parse_uploads(delivery.body):
            if self._accepts(upload):
                await self._split_upload(upload)
            else:
                log.info("upload ignored", container=upload.container, video=upload.name)

    def _accepts(self, upload: Upload) -> bool:
        return (
            upload.container == self._settings.uploads_container
            and upload.name.lower().endswith(self._suffixes)
        )

    async def _split_upload(self, upload: Upload) -> None:
        facts = await self._to.retry(lambda: self._to.blobs.facts(upload.container, upload.name))
        if facts is None or facts.etag != upload.etag:
            # A newer version raises an event of its own; a deleted upload wants no result.
            log.info("upload superseded", video=upload.name)
            return
        style, problem = self._wish(upload, facts)
        job = job_id(facts.url, facts.etag, style)
        if job in self._open or await self._ended(job):
            log.info("job known already", job_id=job, video=upload.name)
            return
        self._open.add(job)
        try:
            await self._run(
                job, Video(upload.name, facts.url, facts.etag, facts.size), style, problem
            )
        finally:
            self._open.discard(job)

    def _wish(self, upload: Upload, facts: BlobFacts) -> tuple[StyleRequest, PermanentError | None]:
        """Return the style request, and if it cannot be fulfilled, why: the job tells the user."""
        default = self._settings.default_style
        try:
            request = style_request(upload.name, facts.metadata, self._gallery, default)
        except StyleError as error:
            return StyleRequest(style=default), error
        try:
            self._gallery.find(request.style)
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
        started = SplitStarted(
            job_id=job, video_name=video.name, video_url=video.url, etag=video.etag, style=style
        )
        await self._to.retry(lambda: self._to.segments.by_job(started))
        log.info("split started", job_id=job, video=video.name, style=style.style)
        try:
            if problem is not None:
                raise problem
            with self._to.metrics.timed("split"):
                manifest = await SplitJob(job, video, style, self._settings, self._to).run()
        except Exception as error:  # a bad upload must never stop its partition
            await self._give_up(job, error)
        else:
            self._to.metrics.job("split")
            log.info(
                "split completed", job_id=job, frames=manifest.frames, chunks=len(manifest.chunks)
            )

    async def _give_up(self, job: str, error: Exception) -> None:
        code = error.code if isinstance(error, PermanentError) else "SPLITTER_ERROR"
        unexpected = None if isinstance(error, PermanentError) else error
        log.warning("split failed", job_id=job, code=code, error=str(error), exc_info=unexpected)
        self._to.metrics.job("failed")
        self._to.metrics.failed(code)
        failed = SplitFailed(job_id=job, code=code, message=str(error) or type(error).__name__)
        await self._to.retry(lambda: self._to.segments.by_job(failed))


async def build(settings: SplitterSettings, clients: AzureClients, metrics: WorkMetrics) -> Service:
    """Connect a splitter."""
    blobs = BlobStore(await clients.blobs())
    outlets = Outlets(
        blobs,
        frames=Publisher(await clients.producer(settings.frames_hub)),
        segments=Publisher(await clients.producer(settings.segments_hub)),
        metrics=metrics,
        retry=Retry(metrics),
    )
    gallery = Gallery(Path(settings.styles_dir) if settings.styles_dir else None)
    workers = Workers(
        settings.splits,
        Splitter(settings, gallery, outlets).split,
        DeadLetters(blobs, settings.dead_letters_container, settings.uploads_hub),
        metrics,
    )
    consumer = Consumer(
        await clients.consumer(settings.uploads_hub),
        workers.take,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        metrics=metrics.reading(settings.uploads_hub),
    )
    return Service(consumer, workers.finish)
