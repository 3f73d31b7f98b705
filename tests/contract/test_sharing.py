"""Consumers share a hub's partitions: newcomers get theirs, and no work is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest
import pytest_asyncio
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

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HUB: Final = "frames"
_DEADLINE_S: Final = 60.0


class Sharers:
    """Consumers of one group that take up every event and finish none."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.taken: list[tuple[str, Delivery]] = []
        self.released: set[str] = set()
        self._settings = settings
        self._changed = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    async def join(self, name: str) -> None:
        clients = await self._stack.enter_async_context(AzureClients(self._settings))
        consumer = Consumer(
            functools.partial(clients.consumer, _HUB),
            HubPositions(BlobStore(await clients.blobs()), self._settings, _HUB),
            functools.partial(self._take, name),
            checkpoint_interval_s=3600,
            patience_s=60,
            metrics=WorkMetrics(CollectorRegistry(), name).reading(_HUB),
            on_unrecoverable=pytest.fail,
        )
        consumer.hand_over(_DEADLINE_S)
        consumer.on_released(self._release)
        running = asyncio.create_task(consumer.run())
        self._stack.callback(running.cancel)

    async def leave(self) -> None:
        await self._stack.aclose()

    async def send_to_each_partition(self) -> None:
        async with AzureClients(self._settings) as clients:
            publisher = await clients.publisher(_HUB)
            event = SegmentReady(job_id=self._settings.consumer_group, chunk=0, frames=1)
            await asyncio.gather(*(publisher.to_partition(event, str(id_)) for id_ in range(4)))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _release(self, partition_id: str) -> None:
        self.released.add(partition_id)
        self._changed.set()

    async def _take(self, name: str, delivery: Delivery) -> None:
        self.taken.append((name, delivery))
        self._changed.set()


@pytest_asyncio.fixture(loop_scope="session")
async def sharers(storage_connection: str, eventhub_connection: str) -> AsyncIterator[Sharers]:
    settings = ServiceSettings(
        storage_connection_string=storage_connection,  # type: ignore[arg-type]
        eventhub_connection_string=eventhub_connection,  # type: ignore[arg-type]
        consumer_group=f"g{uuid.uuid4().hex[:8]}",
        frames_checkpoints_container=f"c{uuid.uuid4().hex[:8]}",
        load_balancing_interval_s=0.2,
        ownership_expiry_s=60,
    )
    async with BlobServiceClient.from_connection_string(storage_connection) as blobs:
        await blobs.create_container(settings.frames_checkpoints_container)
    found = Sharers(settings)
    yield found
    await found.leave()


async def test_newcomers_get_partitions_once_the_work_in_hand_is_done(
    sharers: Sharers,
) -> None:
    # Given one consumer with an event in hand of each partition
    await sharers.join("first")
    await sharers.send_to_each_partition()
    await sharers.until(lambda: len(sharers.taken) == 4)
    in_hand = [delivery for _, delivery in sharers.taken]
    # When another joins, then the first reads half of the partitions no more
    await sharers.join("second")
    await sharers.until(lambda: len(sharers.released) == 2)
    await sharers.send_to_each_partition()
    await sharers.until(lambda: len(sharers.taken) == 6)
    assert {name for name, _ in sharers.taken} == {"first"}
    # When what is in hand is done, then the other goes on behind it, and nothing comes twice
    for delivery in in_hand:
        delivery.done()
    await sharers.until(lambda: len(sharers.taken) == 8)
    assert {d.partition_id for name, d in sharers.taken if name == "second"} == sharers.released
    assert len({(d.partition_id, d.sequence_number) for _, d in sharers.taken}) == 8
