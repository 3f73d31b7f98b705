"""A consumer on a real hub, and the events that it received."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid
from collections.abc import AsyncIterator, Callable

from azure.storage.blob.aio import BlobServiceClient
from prometheus_client import CollectorRegistry

from shared.contracts.messages import SegmentReady
from shared.hubs.consumer import Consumer
from shared.hubs.delivery import Delivery
from shared.service.checkpoints import HubPositions
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings
from shared.storage.blobs import BlobStore
from shared.telemetry.metrics import WorkMetrics

DEADLINE_S = 90.0
HUB = "segments"


class Reader:
    """A consumer in a group of its own, whose deliveries wait for the test to finish them."""

    def __init__(self, settings: ServiceSettings, blobs: BlobServiceClient) -> None:
        self.settings = settings
        self.taken: list[Delivery] = []
        self.container = blobs.get_container_client(settings.checkpoints_container(HUB))
        self._arrived = asyncio.Condition()

    async def take(self, delivery: Delivery) -> None:
        async with self._arrived:
            self.taken.append(delivery)
            self._arrived.notify_all()

    async def until(self, count: int) -> list[Delivery]:
        async with asyncio.timeout(DEADLINE_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.taken) >= count)
        return [*self.taken]

    async def until_all(self, wanted: set[tuple[str, int]]) -> None:
        """Wait until events were taken from these places: partitions and sequence numbers."""
        async with asyncio.timeout(DEADLINE_S), self._arrived:
            await self._arrived.wait_for(
                lambda: wanted <= {(each.partition_id, each.sequence_number) for each in self.taken}
            )

    @contextlib.asynccontextmanager
    async def reading(
        self, interval_s: float = 0.05, patience_s: float = 60
    ) -> AsyncIterator[Consumer]:
        self.taken.clear()
        async with AzureClients(self.settings) as clients:
            self.unrecoverable: list[str] = []
            self.metrics = CollectorRegistry()
            blobs = BlobStore(await clients.blobs())
            consumer = Consumer(
                functools.partial(clients.consumer, HUB),
                HubPositions(blobs, self.settings, HUB),
                self.take,
                checkpoint_interval_s=interval_s,
                patience_s=patience_s,
                metrics=WorkMetrics(self.metrics, "test").reading(HUB),
                on_unrecoverable=self.unrecoverable.append,
            )
            running = asyncio.create_task(consumer.run())
            try:
                yield consumer
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def checkpoints(self) -> dict[str, int]:
        """Return sequence numbers by partition."""
        found: dict[str, int] = {}
        async for blob in self.container.list_blobs(include=["metadata"]):
            group, kind, partition = blob.name.split("/")[-3:]
            ours = kind == "checkpoint" and group == self.settings.consumer_group
            if ours and "sequencenumber" in blob.metadata:
                found[partition] = int(blob.metadata["sequencenumber"])
        return found

    async def checkpoint_is(self, wanted: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        async with asyncio.timeout(DEADLINE_S):
            while not wanted(found := await self.checkpoints()):
                await asyncio.sleep(0.05)
        return found


async def reader_of(storage: str, eventhub: str, blobs: BlobServiceClient) -> Reader:
    settings = ServiceSettings(
        storage_connection_string=storage,  # type: ignore[arg-type]
        eventhub_connection_string=eventhub,  # type: ignore[arg-type]
        consumer_group=f"g{uuid.uuid4().hex[:8]}",
        segments_checkpoints_container=f"c{uuid.uuid4().hex[:8]}",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=5,
    )
    await blobs.create_container(settings.checkpoints_container(HUB))
    return Reader(settings, blobs)


async def send(reader: Reader, partition: str, *numbers: int) -> None:
    async with AzureClients(reader.settings) as clients:
        publisher = await clients.publisher(HUB)
        for number in numbers:
            await publisher.to_partition(
                SegmentReady(job_id=reader.settings.consumer_group, chunk=number, frames=1),
                partition,
            )
