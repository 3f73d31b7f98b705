"""Event processors: consumers that share partitions through checkpoints in blobs."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEADLINE_S = 90.0


@pytest_asyncio.fixture(loop_scope="session")
async def container(storage_connection: str) -> AsyncIterator[tuple[str, str]]:
    """A new container for checkpoints: the connection string and the name."""
    name = f"checkpoints-{uuid.uuid4().hex[:8]}"
    async with ContainerClient.from_connection_string(storage_connection, name) as client:
        await client.create_container()
    yield storage_connection, name


class Processor:
    """One consumer of the group, which checkpoints every event it has seen."""

    def __init__(self, connection: str, container: tuple[str, str], changed: asyncio.Event) -> None:
        self.owned: set[str] = set()
        self.seen: list[tuple[str, int, str]] = []
        self._changed = changed
        self._store = BlobCheckpointStore.from_connection_string(*container)
        self._client = EventHubConsumerClient.from_connection_string(
            connection,
            consumer_group="$Default",
            checkpoint_store=self._store,
            load_balancing_interval=0.5,
            partition_ownership_expiration_interval=60,
            retry_total=3,
            retry_backoff_factor=0.1,
        )
        self._task = asyncio.create_task(
            self._client.receive(
                self._on_event,
                on_partition_initialize=self._on_initialize,
                on_partition_close=self._on_close,
                on_error=self._on_error,
                starting_position="-1",
            )
        )

    async def stop(self) -> None:
        await self._client.close()
        with contextlib.suppress(asyncio.CancelledError):
            self._task.cancel()
            await self._task
        await self._store.close()

    async def _on_event(self, context: Any, event: EventData) -> None:
        await context.update_checkpoint(event)
        self.seen.append((context.partition_id, event.sequence_number, event.body_as_str()))
        self._changed.set()

    async def _on_initialize(self, context: Any) -> None:
        self.owned.add(context.partition_id)
        self._changed.set()

    async def _on_close(self, context: Any, _: Any) -> None:
        self.owned.discard(context.partition_id)
        self._changed.set()

    async def _on_error(self, context: Any, error: Exception) -> None:
        """The client continues by itself."""


@pytest_asyncio.fixture(loop_scope="session")
async def join(container: tuple[str, str]) -> AsyncIterator[Callable[..., Processor]]:
    """Lets one more processor join, and stops all of them in the end."""
    processors: list[Processor] = []

    def start(connection: str, changed: asyncio.Event) -> Processor:
        processors.append(Processor(connection, container, changed))
        return processors[-1]

    yield start
    await asyncio.gather(*(processor.stop() for processor in processors), return_exceptions=True)


async def until(condition: Callable[[], bool], changed: asyncio.Event) -> None:
    """Wait until ``condition`` holds; it is looked at whenever a processor reports."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            changed.clear()
            await changed.wait()


async def send_to_all(connection: str, bodies: list[str]) -> None:
    producer = EventHubProducerClient.from_connection_string(connection)
    async with producer:
        for partition in await producer.get_partition_ids():
            batch = await producer.create_batch(partition_id=partition)
            for body in bodies:
                batch.add(EventData(f"{partition}-{body}"))
            await producer.send_batch(batch)


async def test_two_processors_share_the_partitions_and_continue_from_their_checkpoints(
    hubs: Any, join: Any
) -> None:
    # Given one processor that owns every partition and has read what was there
    changed = asyncio.Event()
    await send_to_all(hubs.connection_string, ["a", "b"])
    first = join(hubs.connection_string, changed)
    await until(lambda: len(first.owned) == 4 and len(first.seen) == 8, changed)
    # When a second one joins
    second = join(hubs.connection_string, changed)
    await until(lambda: len(first.owned) == 2 and len(second.owned) == 2, changed)
    # Then each partition has one owner, and new events reach it once
    assert first.owned.isdisjoint(second.owned)
    await send_to_all(hubs.connection_string, ["c"])

    def new() -> list[str]:
        return [body for _, _, body in first.seen + second.seen if body.endswith("c")]

    await until(lambda: len(new()) >= 4, changed)
    assert sorted(new()) == ["0-c", "1-c", "2-c", "3-c"]
    # And a third, after both have left, sees nothing that is behind a checkpoint
    await asyncio.gather(first.stop(), second.stop())
    third = join(hubs.connection_string, changed)
    await until(lambda: len(third.owned) == 4, changed)
    await send_to_all(hubs.connection_string, ["d"])
    await until(lambda: len(third.seen) >= 4, changed)
    assert sorted(body for _, _, body in third.seen) == ["0-d", "1-d", "2-d", "3-d"]


async def outage(start_broker: Any, join: Any, seconds: float) -> None:
    # Given a processor at work on a broker
    broker = start_broker()
    connection = f"{broker.connection_string}EntityPath=frames"
    changed = asyncio.Event()
    await send_to_all(connection, ["before"])
    processor = join(connection, changed)
    await until(lambda: len(processor.seen) == 4, changed)
    # When the broker is killed, and comes back after a while on the same port
    broker.kill()
    await asyncio.sleep(seconds)  # the outage itself
    broker.start()
    await send_to_all(connection, ["after"])
    # Then the processor recovers by itself, and no event is lost
    await until(
        lambda: (
            {body for _, _, body in processor.seen if body.endswith("after")}
            == {f"{partition}-after" for partition in range(4)}
        ),
        changed,
    )


async def test_processors_recover_from_a_short_outage(start_broker: Any, join: Any) -> None:
    await outage(start_broker, join, 3)


@pytest.mark.slow
async def test_processors_recover_from_a_long_outage(start_broker: Any, join: Any) -> None:
    await outage(start_broker, join, 20)
