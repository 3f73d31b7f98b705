"""Splitters with a broker and containers of their own, and ways to observe what they store."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from unittest import mock

import numpy as np
from azure.eventhub import EventData
from azure.storage.blob.aio import BlobServiceClient
from decoder_child import DECODERS
from prometheus_client import CollectorRegistry
from serving import serving
from videos import Video, number_picture

from assembler.job import first_record
from chaos.history import HubEvent
from chaos.hubs import HubReader
from client import Pipeline
from client.account import Containers
from shared.contracts.layout import progress_blob, status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import ChunkReady, SplitCompleted, SplitStarted
from shared.contracts.status import SplitProgress, read_status
from shared.contracts.style_request import StyleRequest
from shared.hubs.sender import Sender
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service
from shared.storage.blobs import BlobStore
from shared.storage.manifests import load_manifest
from splitter import service as splitter
from splitter.metrics import SplitterMetrics
from splitter.openings import Opening, Openings
from splitter.settings import SplitterSettings

DEADLINE_S = 90.0
SIZE = (64, 48)
Draw = Callable[[int, int, int], np.ndarray]


class Bench:
    """Containers and a consumer group of a test's own, and the splitters that it starts there."""

    def __init__(self, settings: SplitterSettings, client: BlobServiceClient, hub: Sender) -> None:
        self.settings = settings
        self.blobs = BlobStore(client)
        self._client = client
        self._hub = hub

    async def upload(
        self, name: str, frames: int, size: tuple[int, int] = SIZE, draw: Draw = number_picture
    ) -> str:
        """Upload a video and announce it; return its version."""
        return await self.put(name, Video(frames=frames, size=size, draw=draw).make())

    async def put(self, name: str, video: bytes) -> str:
        """Upload the given video and announce it; return its version."""
        etag = await self.store(name, video)
        await self.tell(name, etag)
        return etag

    async def store(self, name: str, video: bytes) -> str:
        """Upload the given video without an event; return its version."""
        blob = self._client.get_blob_client(self.settings.uploads_container, name)
        written = await blob.upload_blob(video, overwrite=True)
        return str(written["etag"]).strip('"')

    async def tell(self, name: str, etag: str, *, renamed: bool = False) -> None:
        """Say that an upload is there, or was renamed into place."""
        await self.send(self.announcement(name, etag, renamed=renamed))

    async def send(self, body: object) -> None:
        """Send an event's body to the hub of uploads."""
        await self._hub.call(lambda client: client.send_batch([EventData(json.dumps(body))]))

    def announcement(self, name: str, etag: str, *, renamed: bool = False) -> object:
        """Return the Event Grid event of an upload."""
        container = self.settings.uploads_container
        blob = self._client.get_blob_client(container, name)
        return {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            "source": "/test",
            "type": f"Microsoft.Storage.{'BlobRenamed' if renamed else 'BlobCreated'}",
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "data": (
                {"api": "RenameFile", "sequencer": etag, "destinationUrl": blob.url}
                if renamed
                else {"api": "PutBlob", "eTag": etag, "url": blob.url}
            ),
        }

    def openings(self, attempts: int) -> Openings:
        inside = self.settings
        return Openings(self.blobs, inside.frames_container, inside.jobs_container, attempts)

    async def job(self, name: str, etag: str) -> Opening:
        found: list[Opening] = []

        async def look() -> bool:
            opening = await self.openings(5).find(name, etag)
            found[:] = [opening] if opening else []
            return bool(found)

        await self.until(look)
        return found[0]

    async def sealed(self, job: str) -> Manifest:
        await self.until(lambda: self.manifest(job))
        manifest = await self.manifest(job)
        assert manifest
        return manifest

    def failed(self) -> set[str]:
        """Return the codes that the splitter has failed jobs with."""
        samples = [sample for metric in self.metrics.collect() for sample in metric.samples]
        return {
            sample.labels["code"]
            for sample in samples
            if sample.name == "splitter_errors_total" and sample.value
        }

    async def over(self, jobs: int) -> bool:
        """Whether so many jobs were left because they had ended."""
        return self._counted("splitter_jobs_total", outcome="over") == jobs

    async def split(self, jobs: int) -> bool:
        """Whether so many splits have come to their ends, and that is announced."""
        return self._counted("splitter_jobs_total", outcome="split") == jobs

    async def ends(self, job: Opening) -> list[SplitCompleted]:
        """Return the announcements that a job's video is split, in order."""
        found: list[SplitCompleted] = []

        def note(event: HubEvent) -> None:
            if isinstance(end := event.message, SplitCompleted) and end.job_id == job.job_id:
                found.append(end)

        connection = self.settings.eventhub_connection_string
        assert connection
        async with HubReader(connection.get_secret_value(), note) as reader:
            await reader.catch_up()
        return found

    async def all_wait_for_budget(self, videos: int) -> bool:
        """Whether so many videos are in hand, and all of them wait for their uploaders' budget."""
        waiting = self.metrics.get_sample_value("splitter_over_budget_videos")
        return waiting == videos == self.metrics.get_sample_value("splitter_in_hand")

    def _counted(self, name: str, **labels: str) -> float:
        return self.metrics.get_sample_value(name, labels) or 0.0

    async def manifest(self, job: str) -> Manifest | None:
        return await load_manifest(self.blobs, self.settings.frames_container, job)

    async def progress(self, job: str) -> SplitProgress | None:
        data = await self.blobs.read(self.settings.jobs_container, progress_blob(job))
        return SplitProgress.model_validate_json(data) if data else None

    async def waits_for(self, job: Opening, wanted: str) -> None:
        """Wait until the split of ``job`` reports that it waits for what is ``wanted``."""

        async def reported() -> bool:
            found = await self.progress(job.job_id)
            return found is not None and found.waiting_for == wanted

        await self.until(reported)

    async def painted(self, job: Opening, chunks: int) -> None:
        """Say in the job's record that so many chunks are painted."""
        started = SplitStarted(
            job_id=job.job_id,
            video_name=job.video.name,
            video_url=job.video.url,
            etag=job.video.etag,
            style=StyleRequest(style="starry-night"),
        )
        record = first_record(started).model_copy(update={"chunks_stylized": chunks})
        await self.blobs.replace(
            self.settings.jobs_container, status_blob(job.job_id), record.to_json()
        )

    async def end(self, job: Opening) -> None:
        """Say in the job's record that it was cancelled."""
        await self.painted(job, 0)
        name = status_blob(job.job_id)
        record = read_status(await self.blobs.read(self.settings.jobs_container, name) or b"")
        ended = record.model_copy(update={"state": "cancelled"})
        await self.blobs.replace(self.settings.jobs_container, name, ended.to_json())

    def pipeline(self) -> Pipeline:
        """Return what users have of it."""
        inside = self.settings
        names = Containers(inside.uploads_container, jobs=inside.jobs_container)
        return Pipeline(self._client, names)

    async def lying(self, *jobs: Opening) -> list[list[str]]:
        """Return the jobs of the chunks in each partition of the hub of frames, in order."""
        ids, found = {job.job_id for job in jobs}, defaultdict[str, list[str]](list)

        def note(event: HubEvent) -> None:
            if isinstance(message := event.message, ChunkReady) and message.job_id in ids:
                found[event.partition].append(message.job_id)

        connection = self.settings.eventhub_connection_string
        assert connection
        async with HubReader(connection.get_secret_value(), note) as reader:
            await reader.catch_up()
        return list(found.values())

    async def until(self, look: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not await look():
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def splitting(self, **settings: object) -> AsyncIterator[Service]:
        """Run a splitter; leaving ends it as SIGTERM does."""
        chosen = self.settings.model_copy(update=settings)
        async with AzureClients(chosen) as clients:
            self.metrics = CollectorRegistry()
            metrics = SplitterMetrics(self.metrics)
            with mock.patch.object(splitter, "ForkServer", return_value=DECODERS):
                service = await splitter.build(chosen, clients, metrics, Health())
            async with serving(service):
                yield service


@asynccontextmanager
async def bench_of(storage: str, eventhub: str, **settings: object) -> AsyncIterator[Bench]:
    name = uuid.uuid4().hex[:8]
    chosen = SplitterSettings(
        storage_connection_string=storage,  # type: ignore[arg-type]
        eventhub_connection_string=eventhub,  # type: ignore[arg-type]
        consumer_group=f"g{name}",
        uploads_checkpoints_container=f"c{name}",
        uploads_container=f"u{name}",
        jobs_container=f"j{name}",
        frames_container=f"f{name}",
        dead_letters_container=f"d{name}",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=5,
        progress_interval_s=0.1,
        chunk_frames=8,
        outstanding_chunks=1,
        **settings,  # type: ignore[arg-type]
    )
    async with AzureClients(chosen) as clients:
        client = await clients.blobs()
        for kind in "cujfd":
            await client.create_container(f"{kind}{name}")
        yield Bench(chosen, client, await clients.sender(chosen.uploads_hub))
