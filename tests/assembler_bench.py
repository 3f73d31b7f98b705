"""An assembler beside a broker and containers of a test's own, and looks at what it keeps."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from azure.storage.blob.aio import BlobServiceClient
from manifests import manifest, store_whole
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from serving import serving

from assembler import service as assembler
from assembler.metrics import AssemblerMetrics
from assembler.settings import AssemblerSettings
from shared.contracts.layout import chunk_partition, status_blob
from shared.contracts.manifest import GridShift, Manifest, Place
from shared.contracts.messages import ChunkReady, SegmentReady, SplitStarted, decode
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.hubs.consumer import Consumer
from shared.hubs.delivery import Delivery
from shared.hubs.publisher import Publisher
from shared.service.checkpoints import HubPositions
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.storage.blobs import BlobStore
from shared.telemetry.metrics import WorkMetrics

DEADLINE_S = 90.0


class Bench:
    """An assembler in this loop, with containers and a consumer group of its own."""

    def __init__(self, settings: AssemblerSettings, blobs: BlobStore, hub: Publisher) -> None:
        self.settings = settings
        self.blobs = blobs
        self.hub = hub
        self.metrics = CollectorRegistry()
        self.health = Health()
        self.health.serving = True

    async def until(self, look: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not await look():
                await asyncio.sleep(0.1)

    async def ended(self, job: str) -> Status:
        found: list[Status] = []

        async def look() -> bool:
            data = await self.blobs.read(self.settings.jobs_container, status_blob(job))
            with contextlib.suppress(ValidationError):
                found[:] = [Status.model_validate_json(data)] if data else []
            return bool(found) and found[0].ended

        await self.until(look)
        return found[0]

    async def look(self, job: str) -> Status | None:
        data = await self.blobs.read(self.settings.jobs_container, status_blob(job))
        return Status.model_validate_json(data) if data else None

    async def record(self, job: str, wanted: Callable[[Status], object]) -> Status:
        """Wait until a job's record is as ``wanted``, and return it."""
        found: list[Status] = []

        async def is_so() -> object:
            found[:] = [status] if (status := await self.look(job)) else []
            return found and wanted(found[0])

        await self.until(is_so)
        return found[0]

    async def dead_letters(self) -> list[dict]:
        letters = []
        async for name in self.blobs.names(self.settings.dead_letters_container):
            data = await self.blobs.read(self.settings.dead_letters_container, name)
            letters.append(json.loads(data or b"{}"))
        return letters


def started(job: str) -> SplitStarted:
    return SplitStarted(
        job_id=job,
        video_name="v.mp4",
        video_url="u",
        etag="e",
        style=StyleRequest(style="starry-night"),
    )


@asynccontextmanager
async def running(storage: str, eventhub: str, **settings: object) -> AsyncIterator[Bench]:
    async with (
        prepared(storage, eventhub, **settings) as bench,
        assembling(bench.settings, bench.metrics, bench.health),
    ):
        yield bench


@asynccontextmanager
async def prepared(storage: str, eventhub: str, **settings: object) -> AsyncIterator[Bench]:
    """Make a bench on which no assembler runs yet."""
    name = uuid.uuid4().hex[:8]
    chosen = AssemblerSettings(
        storage_connection_string=storage,  # type: ignore[arg-type]
        eventhub_connection_string=eventhub,  # type: ignore[arg-type]
        consumer_group=f"g{name}",
        uploads_checkpoints_container=f"c{name}",
        frames_checkpoints_container=f"c{name}",
        segments_checkpoints_container=f"c{name}",
        jobs_container=f"j{name}",
        # Ends of jobs are marked there, and tests may choose the same ids.
        frames_container=f"f{name}",
        dead_letters_container=f"d{name}",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=5,
        **{"status_interval_s": 0.1, **settings},  # type: ignore[arg-type]
    )
    async with AzureClients(chosen) as clients:
        client = await clients.blobs()
        for container in (
            chosen.segments_checkpoints_container,
            chosen.jobs_container,
            chosen.frames_container,
            chosen.dead_letters_container,
        ):
            await client.create_container(container)
        await _ensure(client, "segments", "results")
        yield Bench(chosen, BlobStore(client), await clients.publisher("segments"))


@asynccontextmanager
async def assembling(
    settings: AssemblerSettings, metrics: CollectorRegistry, health: Health | None = None
) -> AsyncIterator[None]:
    """Run an assembler, as one of perhaps several; leaving ends it as SIGTERM does."""
    async with AzureClients(settings) as clients:
        service = await assembler.build(
            settings, clients, AssemblerMetrics(metrics), health or Health()
        )
        async with serving(service):
            yield


async def _ensure(client: BlobServiceClient, *containers: str) -> None:
    for container in containers:
        if not await client.get_container_client(container).exists():
            await client.create_container(container)


class Loser:
    """A stylizer that takes chunks up and loses them: done, and never a segment."""

    def __init__(self) -> None:
        self.taken: list[ChunkReady] = []

    async def take(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        if isinstance(event, ChunkReady):
            self.taken.append(event)
        delivery.done()

    def of(self, job: str) -> list[int]:
        return [event.chunk.index for event in self.taken if event.job_id == job]


class Reminder(Loser):
    """A stylizer that has painted everything before: it announces whatever it is sent."""

    def __init__(self, announce: Callable[[SegmentReady], Awaitable[None]]) -> None:
        super().__init__()
        self._announce = announce

    async def take(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        assert isinstance(event, ChunkReady)
        self.taken.append(event)
        await self._announce(
            SegmentReady(job_id=event.job_id, chunk=event.chunk.index, frames=event.chunk.frames)
        )
        delivery.done()


async def lose_chunks(bench: Bench, loser: Loser) -> None:
    async with AzureClients(bench.settings) as clients:
        consumer = Consumer(
            functools.partial(clients.consumer, bench.settings.frames_hub),
            HubPositions(bench.blobs, bench.settings, bench.settings.frames_hub),
            loser.take,
            checkpoint_interval_s=0.05,
            patience_s=60,
            metrics=WorkMetrics(CollectorRegistry(), "loser").reading("frames"),
            on_unrecoverable=print,
        )
        await consumer.run()


async def seal(bench: Bench, job: str, chunks: int) -> Manifest:
    """Start a job and store its manifest; the camera moves from chunk to chunk."""
    await bench.hub.by_job(started(job))
    sealed = manifest(job, [8] * chunks)
    moved = (
        dataclasses.replace(
            chunk, canvas=(Place(chunk.index, 4),), grid=(GridShift(chunk.index % 4, 1),)
        )
        for chunk in sealed.chunks
    )
    sealed = sealed.model_copy(update={"chunks": tuple(moved)})
    await store_whole(bench.blobs, bench.settings.frames_container, sealed)
    return sealed


async def send_chunks(bench: Bench, job: str, chunks: int) -> None:
    """Send chunks as the splitter does."""
    sealed = manifest(job, [8] * chunks)
    async with AzureClients(bench.settings) as clients:
        frames = await clients.publisher(bench.settings.frames_hub)
        partitions = await frames.partitions()
        for chunk in sealed.chunks:
            event = ChunkReady.of(job, sealed.source, sealed.style, chunk)
            place = chunk_partition(job, chunk.index, len(partitions))
            await frames.to_partition(event, partitions[place])
