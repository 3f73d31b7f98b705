"""Sends messages to one hub."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from shared.errors import TransientError
from shared.messages import Message


class Publisher:
    """Publishes events of one hub, at least once, each acknowledged before the call returns."""

    def __init__(self, client: EventHubProducerClient) -> None:
        self._client = client
        self._partitions: list[str] = []
        # The SDK's producer for one partition is a single link: sends on it must take turns.
        self._turns: dict[str, asyncio.Lock] = {}

    async def partitions(self) -> list[str]:
        """Return the hub's partition ids (asked once)."""
        if not self._partitions:
            self._partitions = sorted(await self._client.get_partition_ids(), key=int)
        return self._partitions

    async def to_partition(self, message: Message, partition_id: str) -> None:
        """Publish to one partition."""
        async with self._turns.setdefault(partition_id, asyncio.Lock()):
            await self._send(message, partition_id=partition_id)

    async def by_job(self, message: Message) -> None:
        """Publish to the partition that all events of the message's job go to."""
        async with self._turns.setdefault("", asyncio.Lock()):
            await self._send(message, partition_key=message.job_id)

    async def _send(self, message: Message, **where: str) -> None:
        event = EventData(message.to_json())
        event.content_type = "application/json"
        try:
            await self._client.send_batch([event], **where)
        except EventHubError as error:
            raise TransientError(
                f"cannot publish to hub {self._client.eventhub_name}: {error}"
            ) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        await self._client.close()
