"""Events are delivered as they arrive; the SDK would poll for them 20 times a second."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from azure.eventhub.aio._transport import _pyamqp_transport_async
from contract.conftest import broker
from hub_reader import DEADLINE_S, Reader, send
from ports import unused_port

from shared.hubs.arrivals import deliver_immediately
from shared.hubs.connections import connection_options

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_events_are_awaited_without_polling(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    class Looked:
        """What the SDK's transport knows as asyncio."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, delay_s: float) -> None:
            looks.append(delay_s)
            await asyncio.sleep(delay_s)

    monkeypatch.setattr(_pyamqp_transport_async, "asyncio", Looked())
    await send(reader, "0", 0)
    await send(reader, "1", 1)
    async with reader.reading():
        # Given a consumer that reads both partitions
        await reader.until(2)
        looks.clear()
        # When nothing comes for a second, or however long a busy machine makes of it
        begin_s = time.monotonic()
        await asyncio.sleep(1)
        seconds = math.ceil(time.monotonic() - begin_s)
        # Then each partition's connection was looked after once or twice in each
        assert len(looks) <= 2 * 2 * seconds
        # And what comes is taken up
        await send(reader, "0", 2)
        await reader.until(3)


async def test_reading_continues_once_a_hub_that_closed_the_connection_is_back(
    tmp_path: Path,
) -> None:
    port, seen = unused_port(), asyncio.Queue[str]()

    async def note(_context: PartitionContext, events: list[EventData]) -> None:
        for event in events:
            seen.put_nowait(event.body_as_str())

    async def ignore(_context: PartitionContext | None, _error: Exception) -> None:
        """Let the SDK try again."""

    async def sent(connection: str, text: str) -> None:
        producer = EventHubProducerClient.from_connection_string(connection, eventhub_name="frames")
        async with producer:
            await producer.send_event(EventData(text))
        async with asyncio.timeout(DEADLINE_S):
            while await seen.get() != text:
                pass

    async with contextlib.AsyncExitStack() as closing:
        async with broker(tmp_path, port) as first:
            # Given a reader that is called back for events alone, not when none have come
            reader = EventHubConsumerClient.from_connection_string(
                *(first, "tests"),
                eventhub_name="frames",
                load_balancing_interval=0.1,
                **connection_options(),
            )
            client = await closing.enter_async_context(deliver_immediately(reader))
            reading = asyncio.create_task(
                client.receive_batch(note, on_error=ignore, starting_position="-1")
            )
            closing.callback(reading.cancel)
            await sent(first, "before")
        # When the hub goes and comes back
        again = await closing.enter_async_context(broker(tmp_path, port))
        # Then it gets what comes afterwards
        await sent(again, "after")
        await client.close()
        await asyncio.wait({reading})
