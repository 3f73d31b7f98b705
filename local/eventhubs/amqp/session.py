"""A session: the windows and the links of one channel (part 2: transport, section 2.5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from local.eventhubs.amqp.budget import Budget
from local.eventhubs.amqp.channel import Flowing
from local.eventhubs.amqp.errors import (
    FRAMING_ERROR,
    HANDLE_IN_USE,
    INVALID_FIELD,
    NOT_ALLOWED,
    RESOURCE_LIMIT,
    UNATTACHED_HANDLE,
    WINDOW_VIOLATION,
    AmqpError,
    ConnectionFault,
    LinkFault,
    SessionFault,
)
from local.eventhubs.amqp.limits import ConnectionLimits
from local.eventhubs.amqp.links import (
    RECEIVER,
    CreditChanged,
    IncomingLink,
    Link,
    LinkAttaching,
    LinkDetached,
    LinkEvent,
    LinkState,
    MessageArrived,
    OutgoingLink,
)
from local.eventhubs.amqp.outcomes import describe_error
from local.eventhubs.amqp.performatives import (
    Attach,
    Begin,
    Detach,
    Disposition,
    End,
    Flow,
    Performative,
    Transfer,
)

Write = Callable[[int, Performative, bytes], None]

_SERIAL: Final = 0xFFFF_FFFF
# The highest of the settle modes (sections 2.8.2 and 2.8.3).
_MIXED: Final = 2
_SECOND: Final = 1
# A transfer performative with every field at its longest.
_TRANSFER_OVERHEAD: Final = 64


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is gone, and its links with it."""

    links: tuple[Link, ...]


class Session:
    """One channel of a connection.

    It numbers its own transfers from 1 and its handles from 0 in order of arrival, as the
    service does, whatever numbers the client uses.
    """

    def __init__(
        self,
        channel: int,
        begin: Begin,
        *,
        write: Write,
        limits: ConnectionLimits,
        peer_frame_size: int,
        budget: Budget,
    ) -> None:
        self.channel = channel
        self._write = write
        self._limits = limits
        self._peer_frame_size = peer_frame_size
        self._budget = budget
        self.ended = False
        self._handle_max = min(limits.handle_max, begin.handle_max)
        self._next_incoming_id = begin.next_outgoing_id
        self._incoming_window = limits.incoming_window
        self._next_outgoing_id = 1
        self._next_delivery_id = 0
        self._remote_window = begin.incoming_window
        self._links: dict[int, Link] = {}  # by the client's handle
        self._handles: set[int] = set()  # the server's
        # The rest of a message for which the client's window has no room.
        self._backlog: deque[tuple[Transfer, bytes]] = deque()

    @property
    def links(self) -> list[Link]:
        """The links that are not detached yet."""
        return list(self._links.values())

    @property
    def has_room(self) -> bool:
        """Whether the client's window has room for another transfer."""
        return self._remote_window > 0 and not self._backlog and not self.ended

    def begin(self, remote_channel: int) -> None:
        """Answer the client's begin."""
        limits = self._limits
        self.write(
            Begin(
                remote_channel=remote_channel,
                next_outgoing_id=self._next_outgoing_id,
                incoming_window=limits.incoming_window,
                outgoing_window=limits.outgoing_window,
                handle_max=limits.handle_max,
            )
        )

    def end(self, error: AmqpError | None = None) -> None:
        """End the session from the server's side; what still arrives for it is discarded."""
        if not self.ended:
            self.ended = True
            self._discard()
            self.write(End(describe_error(error)))

    # -- frames that arrive -----------------------------------------------------

    def handle(self, performative: Performative, payload: bytes) -> LinkEvent | None:
        """Process a performative of this channel; ``SessionFault`` if it violates the protocol."""
        if self.ended:
            return None
        if isinstance(performative, Transfer):
            return self._on_transfer(performative, payload)
        if isinstance(performative, Flow):
            return self._on_flow(performative)
        if isinstance(performative, Disposition):
            # What the server sends is settled already, or its outcome does not matter.
            return None
        if isinstance(performative, Attach):
            return self._on_attach(performative)
        if isinstance(performative, Detach):
            return self._on_detach(performative)
        name = type(performative).__name__.lower()
        raise ConnectionFault(NOT_ALLOWED, f"{name} is not expected on a session")

    def on_end(self) -> None:
        """The client ended the session: answer it."""
        if not self.ended:
            self.end()

    def _on_attach(self, attach: Attach) -> LinkEvent | None:
        if attach.handle in self._links:
            raise SessionFault(HANDLE_IN_USE, f"handle {attach.handle} is in use")
        if len(self._links) > self._handle_max or attach.handle > self._limits.handle_max:
            message = f"handles go up to {self._handle_max}"
            raise ConnectionFault(FRAMING_ERROR, message)
        has_room = self._budget.has_link
        self._budget.count_link(1)
        handle = next(n for n in range(len(self._handles) + 1) if n not in self._handles)
        self._handles.add(handle)
        kind = OutgoingLink if attach.role is RECEIVER else IncomingLink
        link = kind(self, attach, handle)
        self._links[attach.handle] = link
        if not has_room:
            message = f"more than {self._limits.max_links} links on one connection"
            link.refuse(LinkFault(RESOURCE_LIMIT, message))
            return None
        if attach.snd_settle_mode > _MIXED or attach.rcv_settle_mode > _SECOND:
            link.refuse(LinkFault(INVALID_FIELD, "There is no such settle mode."))
            return None
        return LinkAttaching(link)

    def _on_detach(self, detach: Detach) -> LinkEvent:
        link = self._link(detach.handle)
        link.on_detach(detach)
        del self._links[detach.handle]
        self._handles.discard(link.handle)
        self._budget.count_link(-1)
        if isinstance(link, IncomingLink):
            link.discard()
        return LinkDetached(link)

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> LinkEvent | None:
        if self._incoming_window <= 0:
            raise SessionFault(WINDOW_VIOLATION, "more transfers than the window allows")
        self._next_incoming_id = (self._next_incoming_id + 1) & _SERIAL
        self._incoming_window -= 1
        if self._incoming_window <= self._limits.incoming_window // 2:
            self._incoming_window = self._limits.incoming_window
            self.write_flow()
        link = self._link(transfer.handle)
        if not isinstance(link, IncomingLink):
            raise SessionFault(NOT_ALLOWED, "a transfer came in on a link that only sends")
        try:
            delivery = link.on_transfer(transfer, payload)
        except LinkFault as fault:
            link.discard()
            link.detach(fault)
            return LinkDetached(link)
        return None if delivery is None else MessageArrived(link, delivery)

    def _on_flow(self, flow: Flow) -> LinkEvent | None:
        # Section 2.5.6: what is left of the client's window, by the server's count of transfers.
        seen = flow.next_incoming_id if flow.next_incoming_id is not None else 1
        on_the_way = (self._next_outgoing_id - seen) & _SERIAL
        self._remote_window = max(flow.incoming_window - on_the_way, 0)
        link: Link | None = None
        if flow.handle is not None:
            link = self._link(flow.handle)
            if isinstance(link, OutgoingLink):
                link.on_flow(flow)
        self._drain_backlog()
        if flow.echo:
            self.write_flow(link if link is None or link.state is LinkState.ATTACHED else None)
        if isinstance(link, OutgoingLink):
            return CreditChanged((link,))
        if link is None:
            return CreditChanged(
                tuple(each for each in self._links.values() if isinstance(each, OutgoingLink))
            )
        return None

    def _link(self, handle: int) -> Link:
        link = self._links.get(handle)
        if link is None:
            raise SessionFault(UNATTACHED_HANDLE, f"no link is attached with handle {handle}")
        return link

    # -- frames that leave --------------------------------------------------------

    def write(self, performative: Performative, payload: bytes = b"") -> None:
        """Send a performative on this channel."""
        self._write(self.channel, performative, payload)

    def write_flow(
        self, link: Flowing | None = None, *, drain: bool = False, echo: bool = False
    ) -> None:
        """Send the state of the session, and of ``link`` if there is one."""
        extra: dict[str, Any] = {}
        if link is not None:
            extra = {
                "handle": link.handle,
                "delivery_count": link.delivery_count,
                "link_credit": link.credit,
                "available": 0,
            }
        self.write(
            Flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=self._incoming_window,
                next_outgoing_id=self._next_outgoing_id,
                outgoing_window=self._limits.outgoing_window,
                drain=drain,
                echo=echo,
                **extra,
            )
        )

    def transfer(self, handle: int, payload: bytes, *, settled: bool, batchable: bool) -> None:
        """Send a message in as many frames as the client's frame size requires."""
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) & _SERIAL
        room = self._peer_frame_size - _TRANSFER_OVERHEAD
        size = len(payload)
        for start in range(0, max(size, 1), room):
            transfer = Transfer(
                handle=handle,
                delivery_id=delivery_id,
                delivery_tag=delivery_id.to_bytes(4, "big"),
                message_format=0,
                settled=settled,
                more=start + room < size,
                batchable=batchable,
            )
            piece = payload if size <= room else payload[start : start + room]
            self._backlog.append((transfer, piece))
        self._drain_backlog()

    def _drain_backlog(self) -> None:
        while self._backlog and self._remote_window > 0 and not self.ended:
            transfer, piece = self._backlog.popleft()
            self._remote_window -= 1
            self._next_outgoing_id = (self._next_outgoing_id + 1) & _SERIAL
            self.write(transfer, piece)

    # -- accounting ---------------------------------------------------------------

    def reserve(self, size: int) -> None:
        """Count bytes of incomplete messages."""
        self._budget.count_partial(size)

    def release(self, size: int) -> None:
        """Undo what ``reserve`` counted."""
        self._budget.count_partial(-size)

    def _discard(self) -> None:
        self._backlog.clear()
        for link in self._links.values():
            if isinstance(link, IncomingLink):
                link.discard()
            link.state = LinkState.DETACHED
        self._budget.count_link(-len(self._links))
