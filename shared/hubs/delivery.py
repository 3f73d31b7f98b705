"""Events in the hands of a service, and the partitions that they come from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from azure.eventhub import EventData
from azure.eventhub.aio import PartitionContext
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.hubs.watermark import Ticket, Watermark
from shared.telemetry import tracing


class Place(NamedTuple):
    """Where an event is in its partition: all of it that has to outlive its work.

    Finished events wait in memory behind one that is not, for as long as a job is open.
    """

    offset: str
    sequence_number: int


class Delivery:
    """One event in the hands of a service."""

    __slots__ = ("_ticket", "_watermark", "body", "origin", "partition_id", "sequence_number")

    def __init__(
        self, event: EventData, context: PartitionContext, watermark: Watermark[Place]
    ) -> None:
        place = Place(event.offset or "", event.sequence_number or 0)
        self.body = _body(event)
        self.partition_id = context.partition_id
        self.sequence_number = place.sequence_number
        self.origin = tracing.Received(
            context.eventhub_name,
            context.consumer_group,
            context.partition_id,
            tracing.extract(event.properties),
        )
        self._watermark = watermark
        self._ticket: Ticket[Place] = watermark.start(place)

    def done(self) -> None:
        """Note that the event needs no further work, ever. Repeating it changes nothing."""
        self._watermark.finish(self._ticket)


@dataclass(slots=True)
class OwnedPartition:
    """A partition that is ours now, and how far its events are."""

    context: PartitionContext
    watermark: Watermark[Place] = field(default_factory=Watermark)
    flushing: asyncio.Lock = field(default_factory=asyncio.Lock)
    taken: int | None = None
    """Sequence number of the event taken up last."""
    handled: int | None = None
    """Sequence number of the last event that the handler has returned from."""
    checkpointed: int | None = None
    """Sequence number up to which all is finished and checkpointed; None before the first event."""

    @property
    def lag(self) -> int:
        """Events in the partition that are not checkpointed: what the autoscaler sees."""
        newest = self.context.last_enqueued_event_properties
        if self.checkpointed is None or not newest:
            return 0
        return max(0, int(newest["sequence_number"]) - self.checkpointed)


def _body(event: EventData) -> bytes:
    # Foreign events may hold AMQP values or sequences; as text they fail to decode in one place.
    if event.body_type is AmqpMessageBodyType.DATA:
        return b"".join(cast("Iterable[bytes]", event.body))
    return str(event.body).encode()


Handler = Callable[[Delivery], Awaitable[None]]
"""Takes up one event. It may wait to hold the partition back; it must not raise."""

Released = Callable[[str], None]
"""Hears that a partition is no longer ours: what was not done comes again, here or elsewhere."""
