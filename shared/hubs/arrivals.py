"""Makes the SDK hand events on as they arrive, instead of polling for them 20 times a second.

For each partition that is read, one task of the SDK fills a buffer, and another looks into it every
50 ms. In an idle service, that is a third of the CPU time; in a busy one, every event waits for the
next look. Here the second task waits for the first. Connections, links, credit, retries and the
buffer itself are the SDK's: see docs/adr/0025-events-are-handed-on-as-they-come.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.aio._transport._pyamqp_transport_async import PyamqpTransportAsync

# As long as the SDK waits for a callback that it has cancelled.
_CLOSING_S: Final = 1.0
_SDK: Final[Any] = PyamqpTransportAsync


def deliver_immediately(client: EventHubConsumerClient) -> EventHubConsumerClient:
    """Make `receive_batch` of ``client`` call back as soon as there are events; return it."""
    client._amqp_transport = _Transport
    return client


class _Transport(PyamqpTransportAsync):
    """The SDK's transport, but waiting instead of polling; ``consumer`` reads one partition."""

    @staticmethod
    async def message_received_async(consumer: Any, message: Any) -> None:
        await _SDK.message_received_async(consumer, message)
        consumer.arrived.set()

    @staticmethod
    async def receive_messages_async(
        consumer: Any, batch: bool, max_batch_size: int, max_wait_time: float | None
    ) -> None:
        """Receive batches until cancelled, or until the link is lost."""
        if not batch:
            raise NotImplementedError("events are read in batches here")
        consumer.arrived = asyncio.Event()
        consumer._callback_task_run = True
        delivering = asyncio.create_task(_deliver(consumer, max_batch_size, max_wait_time))
        receiving = asyncio.create_task(_SDK._receive_task(consumer, max_batch_size))
        # It also ends without an exception, when the other side has closed the connection.
        receiving.add_done_callback(lambda _: consumer.arrived.set())
        try:
            await asyncio.gather(delivering, receiving)
        finally:
            consumer._callback_task_run = False
            consumer.arrived.set()
            await asyncio.wait({delivering, receiving}, timeout=_CLOSING_S)


async def _deliver(consumer: Any, most: int, idle_s: float | None) -> None:
    """Call back with up to ``most`` events; with none if none arrives for ``idle_s`` seconds."""
    buffer = consumer._message_buffer
    while consumer._callback_task_run:
        if not buffer:
            consumer.arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle_s):
                    await consumer.arrived.wait()
        if consumer._callback_task_run:
            count = min(most, len(buffer))
            await consumer._on_event_received(
                [consumer._next_message_in_buffer() for _ in range(count)]
            )
            consumer._last_callback_called_time = time.time()
