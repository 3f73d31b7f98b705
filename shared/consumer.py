"""Reads a hub and checkpoints only what is finished.

The SDK hands over events partition by partition. Each becomes a `Delivery`, which a service marks
``done`` when all effects of its work are durable, in any order and at any later time; a flusher
writes each partition's contiguous watermark as its checkpoint: regularly, on shutdown, and never
when the partition was lost to another owner (whose checkpoint ours would overwrite).

Taking an event up waits for the service's handler, so a service that is full simply stops reading:
back-pressure needs no queue of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, cast

import structlog
from azure.core.exceptions import AzureError
from azure.eventhub import CloseReason, EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.amqp import AmqpMessageBodyType
from azure.eventhub.exceptions import EventHubError

from shared.errors import TransientError
from shared.metrics import ConsumerMetrics
from shared.watermark import Ticket, Watermark

log = structlog.get_logger()

# Small batches keep other partitions' events moving and little work to repeat after a takeover.
_MAX_BATCH: Final = 16
_PREFETCH: Final = 32
# An idle callback this often proves that the receive loop lives.
_IDLE_S: Final = 2.0


class Delivery:
    """One event in the hands of a service."""

    __slots__ = ("_ticket", "_watermark", "body", "partition_id", "sequence_number")

    def __init__(
        self, event: EventData, partition_id: str, watermark: Watermark[EventData]
    ) -> None:
        self.body = _body(event)
        self.partition_id = partition_id
        self.sequence_number = event.sequence_number
        self._watermark = watermark
        self._ticket: Ticket[EventData] = watermark.start(event)

    def done(self) -> None:
        """Note that the event needs no further work, ever. Repeating it changes nothing."""
        self._watermark.finish(self._ticket)


Handler = Callable[[Delivery], Awaitable[None]]
"""Takes up one event. It may wait to hold the partition back; it must not raise."""


@dataclass(slots=True)
class _Partition:
    context: PartitionContext
    watermark: Watermark[EventData] = field(default_factory=Watermark)
    flushing: asyncio.Lock = field(default_factory=asyncio.Lock)
    checkpointed: int | None = None
    """Sequence number up to which all is finished and checkpointed; None before the first event."""

    @property
    def lag(self) -> int:
        """Events in the partition that are not checkpointed: what the autoscaler sees."""
        newest = self.context.last_enqueued_event_properties
        if self.checkpointed is None or not newest:
            return 0
        return max(0, int(newest["sequence_number"]) - self.checkpointed)


class Consumer:
    """Feeds one hub's events to a handler until told to stop.

    Order is kept within a partition; delivery is at least once. To stop without redoing work:
    `drain`, wait for the deliveries in hand, then cancel `run`.
    """

    def __init__(
        self,
        client: EventHubConsumerClient,
        handler: Handler,
        *,
        checkpoint_interval_s: float,
        metrics: ConsumerMetrics,
    ) -> None:
        self._client = client
        self._handler = handler
        self._checkpoint_interval_s = checkpoint_interval_s
        self._metrics = metrics
        self._partitions: dict[str, _Partition] = {}
        self._draining = False

    async def run(self) -> None:
        """Read until cancelled; then flush what is finished and release the partitions."""
        flusher = asyncio.create_task(self._flush_regularly())
        try:
            await self._client.receive_batch(
                self._on_events,
                on_partition_initialize=self._on_open,
                on_partition_close=self._on_close,
                on_error=self._on_error,
                # The default, "@latest", would skip what was sent before the first claim.
                starting_position="-1",
                max_batch_size=_MAX_BATCH,
                max_wait_time=_IDLE_S,
                prefetch=_PREFETCH,
                track_last_enqueued_event_properties=True,
            )
        finally:
            flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flusher
            await self._client.close()

    def drain(self) -> None:
        """Take up no further event; those in hand may still finish."""
        self._draining = True

    async def reach(self) -> None:
        """Return once the hub answers.

        Raises:
            TransientError: it did not, through all retries.
        """
        try:
            await self._client.get_eventhub_properties()
        except EventHubError as error:
            raise TransientError(f"cannot reach hub: {error}") from error

    async def _on_open(self, context: PartitionContext) -> None:
        self._partitions[context.partition_id] = _Partition(context)
        log.info("partition claimed", hub=context.eventhub_name, partition=context.partition_id)

    async def _on_events(self, context: PartitionContext, events: list[EventData]) -> None:
        partition = self._partitions[context.partition_id]
        for event in events:
            if self._draining:
                return
            if partition.checkpointed is None:
                partition.checkpointed = (event.sequence_number or 0) - 1
            self._metrics.received()
            await self._handler(Delivery(event, context.partition_id, partition.watermark))

    async def _on_close(self, context: PartitionContext, reason: CloseReason) -> None:
        partition = self._partitions.pop(context.partition_id, None)
        if partition and reason is CloseReason.SHUTDOWN:
            await self._flush(partition)
        self._metrics.released(context.partition_id)
        log.info(
            "partition released",
            hub=context.eventhub_name,
            partition=context.partition_id,
            reason=reason.name,
        )

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        self._metrics.error()
        log.warning(
            "event hub trouble, the SDK tries again",
            partition=context.partition_id if context else None,
            error=f"{type(error).__name__}: {error}",
        )

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._checkpoint_interval_s)
            for partition in list(self._partitions.values()):
                await self._flush(partition)

    async def _flush(self, partition: _Partition) -> None:
        # The lock keeps an older checkpoint from landing after a newer one.
        async with partition.flushing:
            if (event := partition.watermark.take()) is not None:
                await self._checkpoint(partition, event)
        self._metrics.lag(partition.context.partition_id, partition.lag)

    async def _checkpoint(self, partition: _Partition, event: EventData) -> None:
        started = time.perf_counter()
        try:
            await partition.context.update_checkpoint(event)
        except AzureError as error:
            partition.watermark.put_back(event)
            self._metrics.checkpoint_failed()
            log.warning("checkpoint not written, will try again", error=error.message)
        else:
            partition.checkpointed = event.sequence_number
            self._metrics.checkpointed(time.perf_counter() - started)


def _body(event: EventData) -> bytes:
    # Foreign events may hold AMQP values or sequences; as text they fail to decode in one place.
    if event.body_type is AmqpMessageBodyType.DATA:
        return b"".join(cast("Iterable[bytes]", event.body))
    return str(event.body).encode()
