"""Sends messages to one hub."""

from __future__ import annotations

from azure.core.exceptions import AzureError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from shared import tracing
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
            except (AzureError, EventHubError) as error:
                raise self._transient(error) from error
        return self._partitions

    async def newest(self, partition_id: str) -> int:
        """Return the sequence number of a partition's last event; -1 when it never had one."""
        try:
            found = await self._client.get_partition_properties(partition_id)
        except (AzureError, EventHubError) as error:
            raise self._transient(error) from error
        return int(found["last_enqueued_sequence_number"])

    async def to_partition(self, message: Message, partition_id: str) -> None:
        """Publish to one partition."""
        await self._send(message, partition_id=partition_id)

    async def by_job(self, message: Message) -> None:
        """Publish to the partition that all events of the message's job go to."""
        await self._send(message, partition_key=message.job_id)

    async def again(self, body: bytes, partition_id: str) -> None:
        """Publish an event's body as it once came, to the partition that it came from."""
        await self._send_body(body, partition_id=partition_id)

    async def _send(
        self, message: Message, *, partition_id: str | None = None, partition_key: str | None = None
    ) -> None:
        body = message.to_json()
        await self._send_body(body, partition_id=partition_id, partition_key=partition_key)

    async def _send_body(
        self, body: bytes, *, partition_id: str | None = None, partition_key: str | None = None
    ) -> None:
        event = EventData(body)
        event.content_type = "application/json"
        with tracing.sending(self._client.eventhub_name, partition_id) as properties:
            event.properties.update(properties)
            try:
                await self._client.send_batch(
                    [event], partition_id=partition_id, partition_key=partition_key
                )
            except (AzureError, EventHubError) as error:
                raise self._transient(error) from error

    def _transient(self, error: Exception) -> TransientError:
        return TransientError(f"cannot reach hub {self._client.eventhub_name}: {error}")
