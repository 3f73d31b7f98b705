"""Reads the hubs alongside the services, and sends copies of what was read.

Both connect directly to the broker, and reading uses its own consumer group: the run sees the hubs
whatever it does to the services' network, and does not take partitions away from them.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final, Self, cast

from azure.eventhub import EventData
from azure.eventhub.aio import (
    EventHubConsumerClient,
    EventHubProducerClient,
    PartitionContext,
)
from azure.eventhub.exceptions import EventHubError

from chaos.history import HubEvent
from shared.contracts.errors import StylestreamError
from shared.hubs.arrivals import deliver_immediately
from shared.hubs.connections import connection_options

HUBS: Final = ("uploads", "frames", "segments")
_GROUP: Final = "chaos"
_REBALANCE_S: Final = 1.0
_POLL_S: Final = 0.1
_PATIENCE_S: Final = 30.0
"""A reader that has not caught up by then has lost its connection and is replaced."""

_LOST_S: Final = 240.0


class HubReader:
    """Notes every event of every hub once, in the order of each partition."""

    def __init__(self, connection_string: str, note: Callable[[HubEvent], None]) -> None:
        self._connection_string = connection_string
        self._note = note
        self._reached: dict[tuple[str, str], int] = {}
        self._offsets: dict[tuple[str, str], str] = {}
        self._reading: list[asyncio.Task[None]] = []
        self._clients: dict[str, EventHubConsumerClient] = {}
        self._partitions: list[tuple[str, str]] = []
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stop()

    @property
    def reached(self) -> Mapping[tuple[str, str], int]:
        """The last sequence number noted of every partition that has had events."""
        return self._reached

    def end_of(self, hub: str, partition: str) -> tuple[int, str]:
        """Return the sequence number and offset of the last event noted in a partition."""
        return self._reached[hub, partition], self._offsets[hub, partition]

    async def begin_anew(self) -> None:
        """Read recreated hubs from their beginning."""
        await self._stop()
        self._reached.clear()
        self._offsets.clear()
        await self._start()

    async def catch_up(self) -> dict[tuple[str, str], int]:
        """Wait until everything in the hubs now is noted; return the partitions' ends, -1 if empty.

        Raises:
            StylestreamError: the hubs cannot be read.
        """
        deadline = asyncio.get_running_loop().time() + _LOST_S
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    ends = await self._ends()
                    while self._behind(ends):  # noqa: ASYNC110 - it is the SDK that we wait for
                        await asyncio.sleep(_POLL_S)
                return ends
            except (EventHubError, TimeoutError):
                if asyncio.get_running_loop().time() > deadline:
                    raise StylestreamError("the hubs cannot be read to their ends") from None
                await self._stop()
                await self._start()

    async def _ends(self) -> dict[tuple[str, str], int]:
        async def end(hub: str, partition: str) -> tuple[tuple[str, str], int]:
            found = await self._clients[hub].get_partition_properties(partition)
            return (hub, partition), int(found["last_enqueued_sequence_number"])

        # Concurrently, because the SDK takes half a second for each.
        return dict(await asyncio.gather(*(end(*place) for place in self._partitions)))

    def _behind(self, ends: dict[tuple[str, str], int]) -> bool:
        return any(self._reached.get(place, -1) < end for place, end in ends.items())

    async def _start(self) -> None:
        for hub in HUBS:
            client = await self._closing.enter_async_context(self._client(hub))
            self._clients[hub] = client
            partitions = await client.get_partition_ids()
            self._partitions += [(hub, partition) for partition in partitions]
            self._reading += [asyncio.create_task(self._read(client, p)) for p in partitions]

    async def _stop(self) -> None:
        # Closing the clients ends their reads; the SDK may swallow a cancellation (local/tasks.py).
        await self._closing.aclose()
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        self._reading.clear()
        self._partitions.clear()

    async def _read(self, client: EventHubConsumerClient, partition: str) -> None:
        async def on_events(context: PartitionContext, events: list[EventData]) -> None:
            for event in events:
                self._take(context, event)

        # Without a checkpoint store, reading restarts from the beginning after a lost connection.
        await client.receive_batch(
            on_events, on_error=_ignore, partition_id=partition, starting_position="-1"
        )

    def _take(self, context: PartitionContext, event: EventData) -> None:
        place = (context.eventhub_name, context.partition_id)
        sequence = event.sequence_number
        assert sequence is not None
        assert event.enqueued_time is not None
        if sequence > self._reached.get(place, -1):
            self._reached[place] = sequence
            self._offsets[place] = str(event.offset)
            body = b"".join(cast("Sequence[bytes]", event.body))
            self._note(HubEvent(*place, sequence, event.enqueued_time.timestamp(), body))

    def _client(self, hub: str) -> EventHubConsumerClient:
        return deliver_immediately(
            EventHubConsumerClient.from_connection_string(
                self._connection_string,
                _GROUP,
                eventhub_name=hub,
                load_balancing_interval=_REBALANCE_S,
                retry_total=1,
                **connection_options(),
            )
        )


async def _ignore(_context: PartitionContext | None, _error: Exception) -> None:
    """Let the SDK try again, since restarts of the broker are part of the run."""


async def send_copies(
    connection_string: str, events: Sequence[HubEvent], chunk_partitions: int, rng: random.Random
) -> None:
    """Send copies of events, as a second producer might have done.

    A chunk's copy goes to any partition, so that two stylizers may hold the same chunk at once. A
    job's events keep their partition, since nothing would have sent them elsewhere. Events for one
    partition keep their order.

    Raises:
        EventHubError: the broker is unavailable.
    """
    copies: dict[tuple[str, str], list[HubEvent]] = defaultdict(list)
    for event in events:
        spread = event.hub == "frames"
        partition = str(rng.randrange(chunk_partitions)) if spread else event.partition
        copies[event.hub, partition].append(event)
    async with AsyncExitStack() as closing:
        producers = {
            hub: await closing.enter_async_context(
                EventHubProducerClient.from_connection_string(
                    connection_string, eventhub_name=hub, **connection_options()
                )
            )
            for hub in sorted({hub for hub, _ in copies})
        }

        async def send(hub: str, partition: str) -> None:
            batch = await producers[hub].create_batch(partition_id=partition)
            for event in copies[hub, partition]:
                batch.add(EventData(event.body))
            await producers[hub].send_batch(batch)

        await asyncio.gather(*(send(hub, partition) for hub, partition in copies))
