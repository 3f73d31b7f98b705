"""Events that a service has in hand, and the partitions that they come from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast

from azure.eventhub import EventData
from azure.eventhub.aio import PartitionContext
from azure.eventhub.amqp import AmqpMessageBodyType

from shared.hubs.positions import Incarnation
from shared.hubs.watermark import Watermark
from shared.telemetry import tracing


class Place(NamedTuple):
    """Where an event is in its partition: all that is kept of it once its work is finished.

    Finished events wait in memory behind an unfinished one, for as long as a job is open.
    """

    offset: str
    sequence_number: int


class Delivery:
    """One event that a service has in hand."""

    __slots__ = ("_partition", "body", "origin", "receipt")

    def __init__(self, event: EventData, partition: OwnedPartition) -> None:
        context = partition.context
        self.body = _body(event)
        self.origin = tracing.Received(
            context.eventhub_name,
            context.consumer_group,
            context.partition_id,
            tracing.extract(event.properties),
        )
        self.receipt = partition.watermark.start(
            Place(event.offset or "", event.sequence_number or 0)
        )
        """Marks it done as well; kept where many events wait, without their bodies."""
        self._partition = partition

    @property
    def partition_id(self) -> str:
        """The partition that it came from."""
        return self.origin.partition_id

    @property
    def sequence_number(self) -> int:
        """Its place in the partition."""
        return self.receipt.item.sequence_number

    @property
    def will_be_redelivered(self) -> bool:
        """Whether the next owner of its partition gets the event, unless it is done.

        So it is if the partition is no longer ours, but not if its hub is gone.
        """
        return self._partition.passed_on

    @property
    def hub(self) -> Incarnation:
        """The hub that it came from."""
        return self._partition.hub

    def done(self) -> None:
        """Note that the event will never need further work. Repeating it changes nothing."""
        self.receipt.finish()


@dataclass(slots=True)
class OwnedPartition:
    """A partition that is ours now, and how far its events have been processed."""

    context: PartitionContext
    hub: Incarnation = field(default_factory=Incarnation)
    began_in: str = ""
    """When the hub was created in whose position reading began, ISO 8601; empty if unknown."""
    watermark: Watermark[Place] = field(init=False)
    flushing: asyncio.Lock = field(default_factory=asyncio.Lock)
    taken: int | None = None
    """Sequence number of the last event that was passed to a handler, ours or that of an earlier
    owner, or -1; None while that is unknown."""
    handled: int | None = None
    """Sequence number of the last event that the handler has returned from."""
    checkpointed: int | None = None
    """Sequence number up to which all is finished and checkpointed; None before the first event."""
    leaving: bool = False
    """Whether it is being handed over to another consumer: no more of its events are taken up."""
    closed: bool = False
    """Whether the client has released it."""
    abandoned: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.watermark = Watermark(self.changed.set)

    def delivery(self, event: EventData) -> Delivery:
        """Return one of its events as a delivery."""
        return Delivery(event, self)

    @property
    def in_hand(self) -> bool:
        """Whether any event that the handler has taken up is unfinished."""
        oldest = self.watermark.oldest
        handled = -1 if self.handled is None else self.handled
        return oldest is not None and oldest.sequence_number <= handled

    def close(self) -> None:
        """Note that the client has released it."""
        self.closed = True
        self.changed.set()

    @property
    def passed_on(self) -> bool:
        """Whether its next owner gets what is unfinished."""
        return self.closed and not self.hub.gone

    def abandon(self) -> None:
        """Make `finished` return, finished or not."""
        self.abandoned = True
        self.changed.set()

    async def finished(self) -> None:
        """Return once it is closed and none of its events is in hand, or it is abandoned."""
        while not self.abandoned and (self.in_hand or not self.closed):
            self.changed.clear()
            await self.changed.wait()

    @property
    def lag(self) -> int:
        """Events in the partition beyond the checkpoint, as the autoscaler sees; 0 if unknown."""
        newest = self.context.last_enqueued_event_properties
        if self.checkpointed is None or not newest:
            return 0
        return max(0, int(newest["sequence_number"]) - self.checkpointed)


CLAIM: Final[ContextVar[OwnedPartition | None]] = ContextVar("claim", default=None)
"""The claim that the SDK is calling back for. It may claim a partition again while its task for the
earlier claim still hands events on, and uses one `PartitionContext` for both. Only the task tells
the claims apart: everything that it starts inherits its context variables."""


def _body(event: EventData) -> bytes:
    # Foreign events may hold AMQP values or sequences, or data that is none, which the SDK does not
    # check; as text, they fail where others are decoded.
    if event.body_type is AmqpMessageBodyType.VALUE:
        return str(event.body).encode()
    parts = list(cast("Iterable[object]", event.body))
    if all(isinstance(part, bytes) for part in parts):
        return b"".join(cast("list[bytes]", parts))
    return str(parts).encode()


Handler = Callable[[Delivery], Awaitable[None]]
"""Takes up one event. It may wait, which holds the partition back; it must not raise."""

Released = Callable[[str], None]
"""Called when a partition is no longer ours: unfinished events come again, here or elsewhere."""

HubChecked = Callable[[], None]
"""Called when it is known whether the events that were released before come again."""
