"""Sends messages to one hub."""

from __future__ import annotations

import time
from typing import Final

from azure.eventhub import EventData

from shared.contracts.messages import Message
from shared.hubs.sender import Sender
from shared.telemetry import tracing

KNOWN_S: Final = 60.0
"""How long the partitions of a hub count as known: they change if it is recreated or gets more."""


class Publisher:
    """Publishes events to one hub, at least once, each acknowledged before the call returns.

    Raises:
        TransientError: from every method, when the hub is unavailable or does not answer.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._partitions: list[str] = []
        self._known_until = 0.0

    async def partitions(self) -> list[str]:
        """Return the hub's partition ids in order; they are looked up from time to time."""
        if time.monotonic() >= self._known_until:
            ids = await self._sender.call(lambda client: client.get_partition_ids())
            found = sorted(ids, key=int)
            if self._partitions and found != self._partitions:
                # The SDK's client sends only to those that it has found first.
                self._sender.reconnect()
            self._partitions = found
            self._known_until = time.monotonic() + KNOWN_S
        return self._partitions

    async def newest(self, partition_id: str) -> int:
        """Return the sequence number of a partition's last event; -1 if it never had one."""
        found = await self._sender.call(
            lambda client: client.get_partition_properties(partition_id)
        )
        return int(found["last_enqueued_sequence_number"])

    async def to_partition(self, message: Message, partition_id: str) -> None:
        """Publish to one partition."""
        await self._send(message.to_json(), partition_id=partition_id)

    async def by_job(self, message: Message) -> None:
        """Publish to the partition that all events of the message's job go to."""
        await self._send(message.to_json(), partition_key=message.job_id)

    async def again(self, body: bytes, partition_id: str) -> None:
        """Publish an event's body once more, unchanged, to the partition that it came from."""
        await self._send(body, partition_id=partition_id)

    async def _send(
        self, body: bytes, *, partition_id: str | None = None, partition_key: str | None = None
    ) -> None:
        event = EventData(body)
        event.content_type = "application/json"
        with tracing.sending(self._sender.hub, partition_id) as properties:
            event.properties.update(properties)
            await self._sender.call(
                lambda client: client.send_batch(
                    [event], partition_id=partition_id, partition_key=partition_key
                )
            )
