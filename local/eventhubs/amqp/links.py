"""The two kinds of link endpoints (part 2: transport, section 2.6).

An ``IncomingLink`` receives what a client's sender transfers; an ``OutgoingLink`` sends to
a client's receiver. Neither knows what its address refers to: they only implement the
protocol's guarantees (credit, sizes, order). What happens to a link is reported as one of
the events defined here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from local.eventhubs.amqp.channel import Channel
from local.eventhubs.amqp.errors import (
    INVALID_FIELD,
    MESSAGE_SIZE,
    TRANSFER_LIMIT,
    AmqpError,
    LinkFault,
)
from local.eventhubs.amqp.outcomes import ACCEPTED, describe_error, rejected
from local.eventhubs.amqp.performatives import (
    Attach,
    Detach,
    Disposition,
    Flow,
    Transfer,
)
from local.eventhubs.amqp.values import Array, Described

RECEIVER: Final = True
SETTLED: Final = 1
_SERIAL: Final = 0xFFFF_FFFF


class LinkState(Enum):
    """The state of a link (section 2.6)."""

    ATTACHING = "attaching"  # the client attached, the server has not answered
    ATTACHED = "attached"
    DETACHING = "detaching"  # the server detached, the client has not answered
    DETACHED = "detached"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A complete message as it was transferred."""

    delivery_id: int
    message_format: int
    payload: bytes
    settled: bool


class Link:
    """What both kinds of links have in common."""

    def __init__(self, channel: Channel, attach: Attach, handle: int) -> None:
        self.channel = channel
        self._attach = attach
        self.name = attach.name
        self.handle = handle
        self.state = LinkState.ATTACHING
        self.delivery_count = 0
        self.credit = 0

    @property
    def address(self) -> str:
        """The address at the server's end: where messages go to, or come from."""
        return _address(self._attach.target)

    @property
    def properties(self) -> dict[Any, Any]:
        """The properties that the client attached with."""
        return self._attach.properties or {}

    @property
    def desired_capabilities(self) -> tuple[Any, ...]:
        """The capabilities that the client asks for."""
        names = self._attach.desired_capabilities
        if isinstance(names, Array):
            return names.items
        return () if names is None else (names,)  # section 1.4: one value may stand alone

    def refuse(self, error: AmqpError) -> None:
        """Answer the attach and detach at once with ``error``.

        The termini are echoed, although the specification wants them to be null:
        azure-eventhub waits forever on an attach with null termini.
        """
        self._answer(max_message_size=None, properties=None)
        self.detach(error)

    def detach(self, error: AmqpError | None = None) -> None:
        """Close the link from the server's side; what still arrives for it is discarded."""
        if self.state in (LinkState.DETACHING, LinkState.DETACHED):
            return
        self.state = LinkState.DETACHING
        self.credit = 0
        self.channel.write(Detach(self.handle, closed=True, error=describe_error(error)))

    def on_detach(self, detach: Detach) -> None:
        """The client detached: answer, unless the server detached first."""
        if self.state is not LinkState.DETACHING:
            self.channel.write(Detach(self.handle, closed=detach.closed))
        self.state = LinkState.DETACHED

    def _answer(
        self,
        *,
        max_message_size: int | None,
        properties: dict[Any, Any] | None,
        snd_settle_mode: int | None = None,
    ) -> None:
        attach = self._attach
        mode = attach.snd_settle_mode if snd_settle_mode is None else snd_settle_mode
        self.channel.write(
            Attach(
                name=attach.name,
                handle=self.handle,
                role=not attach.role,
                snd_settle_mode=mode,
                rcv_settle_mode=0,
                source=attach.source,
                target=attach.target,
                initial_delivery_count=0 if attach.role is RECEIVER else None,
                max_message_size=max_message_size,
                properties=properties,
            )
        )
        self.state = LinkState.ATTACHED


class IncomingLink(Link):
    """Receives messages from a client's sender."""

    def __init__(self, channel: Channel, attach: Attach, handle: int) -> None:
        super().__init__(channel, attach, handle)
        self.delivery_count = attach.initial_delivery_count or 0
        self._max_credit = 0
        self._max_message_size = 0
        self._current: Transfer | None = None
        self._partial = bytearray()
        self._size = 0
        """Bytes of a message so far, even if it is too large to be kept."""

    def accept(self, *, credit: int, max_message_size: int, announced_size: int) -> None:
        """Answer the attach and grant ``credit`` messages of up to ``max_message_size``."""
        self._max_credit = credit
        self._max_message_size = max_message_size
        self._answer(max_message_size=announced_size, properties=None)
        self._grant()

    def on_transfer(self, transfer: Transfer, payload: bytes) -> Delivery | None:
        """Take one transfer; return the delivery if it completes one."""
        if self.state is not LinkState.ATTACHED:
            return None
        first = self._current or transfer
        if self._current is None:
            if transfer.delivery_id is None:
                raise LinkFault(INVALID_FIELD, "the first transfer of a delivery lacks its id")
            if self.credit <= 0:
                raise LinkFault(TRANSFER_LIMIT, f"link {self.name!r} has no credit left")
        elif transfer.delivery_id not in (None, first.delivery_id):
            raise LinkFault(INVALID_FIELD, "a delivery was begun inside another one")
        if transfer.aborted:
            self._finish()
            return None
        self._size += len(payload)
        if self._size > self._max_message_size:
            self._refuse_size(first, transfer)
            return None
        if transfer.more or self._current is not None:
            self.channel.reserve(len(payload))
            self._partial += payload
            self._current = first
            if transfer.more:
                return None
            payload = bytes(self._partial)
        self._finish()
        return Delivery(
            delivery_id=first.delivery_id or 0,
            message_format=first.message_format or 0,
            payload=payload,
            settled=bool(first.settled or transfer.settled),
        )

    def _refuse_size(self, first: Transfer, transfer: Transfer) -> None:
        """Discard a message that is too large, and reject it once all of it has arrived.

        Like the service, this keeps the link, so that clients get the cause with the delivery.
        """
        self.channel.release(len(self._partial))
        self._partial = bytearray()
        self._current = first
        if transfer.more:
            return
        delivery = first.delivery_id or 0
        message = (
            f"The received message (delivery-id:{delivery}, size:{self._size} bytes) exceeds the "
            f"limit ({self._max_message_size} bytes) currently allowed on the link."
        )
        self._finish()
        if first.settled or transfer.settled:
            raise LinkFault(MESSAGE_SIZE, message)  # a settled delivery cannot be rejected
        self.settle(delivery, delivery, LinkFault(MESSAGE_SIZE, message))

    def settle(self, first: int, last: int, error: AmqpError | None = None) -> None:
        """Settle the deliveries ``first`` to ``last``: accepted, or rejected with ``error``."""
        if self.channel.ended:
            return  # there is no session to answer on
        state = ACCEPTED if error is None else rejected(error)
        self.channel.write(Disposition(RECEIVER, first, last, settled=True, state=state))

    def discard(self) -> None:
        """Discard a message that has arrived only in part."""
        self.channel.release(len(self._partial))
        self._partial = bytearray()
        self._size = 0
        self._current = None

    def _finish(self) -> None:
        self.discard()
        self.delivery_count = (self.delivery_count + 1) & _SERIAL
        self.credit -= 1
        if self.credit <= self._max_credit // 2:
            # Topped up long before it runs out: azure-eventhub never waits for credit, and
            # assumes its default when it counts none left.
            self._grant()

    def _grant(self) -> None:
        self.credit = self._max_credit
        self.channel.write_flow(self)


class OutgoingLink(Link):
    """Sends messages to a client's receiver, never beyond the credit that it granted."""

    def __init__(self, channel: Channel, attach: Attach, handle: int) -> None:
        super().__init__(channel, attach, handle)
        self.drain = False

    @property
    def address(self) -> str:
        """The address that messages come from."""
        return _address(self._attach.source)

    @property
    def source(self) -> Any:
        """The terminus that messages come from, with the client's filters."""
        return self._attach.source

    @property
    def target_address(self) -> str:
        """The client's end of the link, which requests may name as their reply-to."""
        return _address(self._attach.target)

    @property
    def can_send(self) -> bool:
        """Whether a message would be sent now: there is credit, and room in the session."""
        return self.credit > 0 and self.state is LinkState.ATTACHED and self.channel.has_room

    def accept(
        self,
        *,
        max_message_size: int,
        properties: dict[Any, Any] | None = None,
        snd_settle_mode: int | None = None,
    ) -> None:
        """Answer the attach."""
        self._answer(
            max_message_size=max_message_size,
            properties=properties,
            snd_settle_mode=snd_settle_mode,
        )

    def on_flow(self, flow: Flow) -> None:
        """Take the credit that the receiver grants (section 2.6.7)."""
        if self.state in (LinkState.DETACHING, LinkState.DETACHED):
            return
        self.drain = flow.drain
        if flow.link_credit is not None:
            # Both counts are serial numbers; the client's may lag behind the server's.
            granted = (flow.delivery_count or 0) + flow.link_credit - self.delivery_count
            granted &= _SERIAL
            self.credit = granted if granted <= flow.link_credit else 0

    def send(self, payload: bytes, *, settled: bool, batchable: bool = False) -> None:
        """Transfer a message; the caller has checked ``can_send``."""
        self.credit -= 1
        self.delivery_count = (self.delivery_count + 1) & _SERIAL
        self.channel.transfer(self.handle, payload, settled=settled, batchable=batchable)

    def drained(self) -> None:
        """Use up the credit for which there are no messages, as a drain requires."""
        self.delivery_count = (self.delivery_count + self.credit) & _SERIAL
        self.credit = 0
        self.channel.write_flow(self, drain=True)


@dataclass(frozen=True, slots=True)
class LinkAttaching:
    """A client asks for a link: accept or refuse it."""

    link: Link


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """A complete message arrived."""

    link: IncomingLink
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class CreditChanged:
    """These links may be able to send now."""

    links: tuple[OutgoingLink, ...]


@dataclass(frozen=True, slots=True)
class LinkDetached:
    """A link is gone."""

    link: Link


LinkEvent = LinkAttaching | MessageArrived | CreditChanged | LinkDetached


def _address(terminus: Any) -> str:
    """Return the address of a source or target, which is the first of its fields."""
    if isinstance(terminus, Described) and isinstance(terminus.value, list) and terminus.value:
        address = terminus.value[0]
        if isinstance(address, str):
            return address
    return ""
