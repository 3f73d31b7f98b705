"""Sends messages to one hub."""

from __future__ import annotations

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from shared.errors import TransientError
from shared.messages import Message


class Publisher:
    """Publishes events of one hub, at least once, each acknowledged before the call returns.

    Raises:
        TransientError: from every method, when the hub stays away through all retries.
    """

    def __init__(self, client: EventHubProducerClient) -> None:
        self._client = client
        self._partitions: list[str] = []

    async def partitions(self) -> list[str]:
        """Return the hub's partition ids in order (asked once)."""
        if not self._partitions:
            try:
                self._partitions = sorted(await self._client.get_partition_ids(), key=int)
            except EventHubError as error:
                raise self._transient(error) from error
        return self._partitions

    async def to_partition(self, message: Message, partition_id: str) -> None:
        """Publish to one partition."""
        await self._send(message, partition_id=partition_id)

    async def by_job(self, message: Message) -> None:
        """Publish to the partition that all events of the message's job go to."""
        await self._send(message, partition_key=message.job_id)

    async def _send(
        self, message: Message, *, partition_id: str | None = None, partition_key: str | None = None
    ) -> None:
        event = EventData(message.to_json())
        event.content_type = "application/json"
        try:
            await self._client.send_batch(
                [event], partition_id=partition_id, partition_key=partition_key
            )
        except EventHubError as error:
            raise self._transient(error) from error

    def _transient(self, error: EventHubError) -> TransientError:
        return TransientError(f"cannot reach hub {self._client.eventhub_name}: {error}")
