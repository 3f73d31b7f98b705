"""One client on its socket: what the engine reports, and what the broker does about it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from local.eventhubs import addresses
from local.eventhubs.authorization import Grant
from local.eventhubs.broker import Broker
from local.eventhubs.engine import Engine, State
from local.eventhubs.errors import (
    CONNECTION_FORCED,
    INVALID_FIELD,
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT,
    UNAUTHORIZED,
    AmqpError,
    ConnectionFault,
    DecodeError,
    LinkFault,
)
from local.eventhubs.events import (
    ConnectionEnded,
    CreditChanged,
    Event,
    LinkAttaching,
    LinkDetached,
    MessageArrived,
    Opened,
    SessionEnded,
)
from local.eventhubs.groups import Reader, ReaderSeats
from local.eventhubs.hub import Hub, Partition, now_ms
from local.eventhubs.links import SETTLED, Delivery, IncomingLink, Link, OutgoingLink
from local.eventhubs.message import BATCH_FORMAT, parse_request, split
from local.eventhubs.nodes import answer_cbs, answer_management
from local.eventhubs.pump import ReaderPump
from local.eventhubs.values import Array

_LOGGER: Final = logging.getLogger(__name__)
_ANY_SIZE: Final = 0xFFFF_FFFF_FFFF_FFFF
_EPOCH: Final = "com.microsoft:epoch"
_TIMEOUT: Final = "com.microsoft:timeout"
_RUNTIME_METRIC: Final = "com.microsoft:enable-receiver-runtime-metric"
# A client may ask for a sign of life as often as it likes, but not get it.
_MIN_KEEP_ALIVE_S: Final = 0.5

Closed = Callable[["ClientConnection"], None]


class ClientConnection(asyncio.Protocol):
    """The life of one connection, from its first byte to its last."""

    def __init__(self, broker: Broker, container_id: str, on_closed: Closed) -> None:
        self._broker = broker
        self._limits = broker.limits
        self._on_closed = on_closed
        self._engine = Engine(
            container_id=container_id,
            limits=broker.limits,
            check_plain=broker.policy.matches,
        )
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self._reading = True
        self._uncommitted = 0
        self._grants: list[Grant] = []
        self._publishers: dict[Link, tuple[Hub, Partition | None]] = {}
        self._pumps: dict[Link, ReaderPump] = {}
        self._seats: dict[Link, tuple[ReaderSeats, Reader]] = {}
        self._replies: dict[OutgoingLink, deque[bytes]] = {}
        self._settled: list[tuple[IncomingLink, int, AmqpError | None]] = []
        self._last_seen = 0.0
        self._probed = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # -- the socket ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock: a client that does not open in time is dropped."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.send_buffer_bytes)
        self._later("idle", self._limits.handshake_s, self.abort)

    def data_received(self, data: bytes) -> None:
        """Process what came in; whatever is wrong with it stays on this connection."""
        self._last_seen = asyncio.get_running_loop().time()
        self._probed = False
        try:
            for event in self._engine.receive(data):
                self._on_event(event)
        except Exception:
            # A defect of ours must cost this client its connection, and no other.
            _LOGGER.exception("a connection failed")
            self._engine.close(ConnectionFault("amqp:internal-error", "The server failed."))
            self._finish()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of the base class
        """Give back what the connection held."""
        for timer in self._timers.values():
            timer.cancel()
        self._drop_links(tuple({*self._publishers, *self._pumps, *self._seats}))
        self._replies.clear()
        self._engine.close()
        self._transport = None
        self._on_closed(self)

    def pause_writing(self) -> None:
        """The socket is backed up: pumps wait."""
        self._writable = False
        self._balance_reading()

    def resume_writing(self) -> None:
        """The socket takes more."""
        self._writable = True
        self._balance_reading()
        for pump in list(self._pumps.values()):
            pump.run()

    @property
    def is_writable(self) -> bool:
        """Whether the socket takes more."""
        return self._writable and self._transport is not None

    def flush(self) -> None:
        """Hand what the engine wrote to the socket."""
        output = self._engine.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)
            self._balance_reading()

    def close(self, error: AmqpError | None = None) -> None:
        """Close from our side, telling the client why."""
        self._engine.expel(error or ConnectionFault(CONNECTION_FORCED, "The server is stopping."))
        self.flush()
        self._finish()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        """Leave after a close: at once if the client closed, else when it has answered."""
        if self._transport is None:
            return
        self.flush()
        if self._engine.state is State.CLOSED:
            self._transport.close()
        # Else the client has the word: closing the socket before it has read our close
        # could reset the connection under it.
        self._later("idle", self._limits.closing_s, self.abort)
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _balance_reading(self) -> None:
        """Read no more while too much of this client is unsaved, or unread by it."""
        if self._transport is None or self._transport.is_closing():
            return
        reading = (
            self._uncommitted <= self._limits.max_uncommitted_bytes
            and self._transport.get_write_buffer_size() <= self._limits.max_unsent_bytes
        )
        if reading != self._reading:
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    # -- what the engine reports --------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        match event:
            case MessageArrived(link, delivery):
                self._on_message(link, delivery)
            case CreditChanged(links):
                for link in links:
                    self._on_credit(link)
            case LinkAttaching(link):
                self._on_attach(link)
            case LinkDetached(link):
                self._drop_links((link,))
            case SessionEnded(links):
                self._drop_links(links)
            case Opened(peer):
                self._on_open(peer.idle_time_out)
            case ConnectionEnded(error):
                if error is not None:
                    _LOGGER.info("closing a connection: %s", error)
                self._finish()

    def _on_open(self, idle_time_out_ms: int | None) -> None:
        self._later("idle", self._limits.idle_probe_s, self._watch)
        if self._engine.plain_authenticated:
            self._grants.append(Grant("", float("inf")))
        if idle_time_out_ms:
            self._keep_alive(max(idle_time_out_ms / 2000, _MIN_KEEP_ALIVE_S))

    def _on_attach(self, link: Link) -> None:
        try:
            path = addresses.path_of(link.address)
            if path == addresses.CBS or path.split("/")[-1] == addresses.MANAGEMENT:
                self._attach_request_link(link)
            elif isinstance(link, IncomingLink):
                self._attach_publisher(link)
            elif isinstance(link, OutgoingLink):
                self._attach_reader(link)
        except LinkFault as fault:
            link.refuse(fault)

    def _attach_request_link(self, link: Link) -> None:
        if isinstance(link, IncomingLink):
            link.accept(
                credit=self._limits.request_credit,
                max_message_size=self._limits.max_request_bytes,
                announced_size=_ANY_SIZE,
            )
        elif isinstance(link, OutgoingLink):
            link.accept(max_message_size=_ANY_SIZE)
            self._replies[link] = deque()

    def _attach_publisher(self, link: IncomingLink) -> None:
        address = addresses.parse_send_address(link.address)
        self._authorize(link, "Send")
        hub = self._broker.hub(address.hub)
        partition = None if address.partition is None else hub.partition(address.partition)
        size = self._limits.max_message_size
        link.accept(credit=self._limits.sender_credit, max_message_size=size, announced_size=size)
        self._publishers[link] = (hub, partition)

    def _attach_reader(self, link: OutgoingLink) -> None:
        address = addresses.parse_receive_address(link.address)
        self._authorize(link, "Listen")
        hub = self._broker.hub(address.hub)
        partition = hub.partition(address.partition)
        seats = hub.seats(address.group, address.partition)
        offset = partition.locate(addresses.parse_position(link.attach.source))
        asked = link.attach.properties or {}
        epoch = asked.get(_EPOCH)
        if epoch is not None and (not isinstance(epoch, int) or epoch < 0):
            raise LinkFault(INVALID_FIELD, f"The epoch '{epoch}' is not a number from 0 on.")
        reader = Reader(link.name, epoch, partial(self._evict, link))
        seats.admit(reader, self._limits.max_readers)
        link.accept(
            max_message_size=self._limits.max_message_size,
            properties={name: value for name, value in asked.items() if name in (_EPOCH, _TIMEOUT)},
            snd_settle_mode=SETTLED,
        )
        self._seats[link] = (seats, reader)
        self._pumps[link] = ReaderPump(
            link,
            partition,
            offset,
            self,
            tracks_last_enqueued=_RUNTIME_METRIC in _names(link.attach.desired_capabilities),
        )

    def _authorize(self, link: Link, claim: str) -> None:
        path = addresses.path_of(link.address)
        if not any(grant.covers(path, time.time()) for grant in self._grants):
            message = f"Unauthorized access. '{claim}' claim(s) are required for '{link.address}'."
            raise LinkFault(UNAUTHORIZED, message)

    def _evict(self, link: OutgoingLink, error: AmqpError) -> None:
        self._drop_links((link,))
        link.detach(error)
        self.flush()

    def _on_credit(self, link: OutgoingLink) -> None:
        pump = self._pumps.get(link)
        if pump is not None:
            pump.run()
        waiting = self._replies.get(link)
        while waiting and link.can_send:
            link.send(waiting.popleft(), settled=False)

    def _drop_links(self, links: tuple[Link, ...]) -> None:
        for link in links:
            self._publishers.pop(link, None)
            pump = self._pumps.pop(link, None)
            if pump is not None:
                pump.stop()
            seat = self._seats.pop(link, None)
            if seat is not None:
                seats, reader = seat
                seats.leave(reader)
            if isinstance(link, OutgoingLink):
                self._replies.pop(link, None)

    # -- messages -----------------------------------------------------------------------

    def _on_message(self, link: IncomingLink, delivery: Delivery) -> None:
        try:
            publisher = self._publishers.get(link)
            if publisher is None:
                self._on_request(link, delivery)
            else:
                self._on_publish(link, delivery, *publisher)
        except (LinkFault, DecodeError) as error:
            # The delivery's contents are at fault, not the framing: reject it alone.
            if not delivery.settled:
                link.settle(delivery.delivery_id, delivery.delivery_id, error)

    def _on_publish(
        self, link: IncomingLink, delivery: Delivery, hub: Hub, partition: Partition | None
    ) -> None:
        if delivery.message_format not in (0, BATCH_FORMAT):
            message = f"The message format {delivery.message_format:#x} is not known."
            raise LinkFault(NOT_IMPLEMENTED, message)
        events, key = split(delivery.payload, delivery.message_format)
        if partition is None:
            partition = hub.partition_for(key)
        self._uncommitted += len(delivery.payload)
        self._balance_reading()
        partition.publish(events, key, partial(self._published, link, delivery))

    def _published(self, link: IncomingLink, delivery: Delivery, error: AmqpError | None) -> None:
        self._uncommitted -= len(delivery.payload)
        self._balance_reading()
        if delivery.settled or self._transport is None:
            return
        if not self._settled:
            # All that one commit brings leaves in one write.
            asyncio.get_running_loop().call_soon(self._settle)
        self._settled.append((link, delivery.delivery_id, error))

    def _settle(self) -> None:
        settled, self._settled = self._settled, []
        index = 0
        while index < len(settled):
            link, first, error = settled[index]
            last = first
            index += 1
            while index < len(settled) and settled[index] == (link, last + 1, error):
                last += 1
                index += 1
            if not link.session.ended:
                link.settle(first, last, error)
        self.flush()

    def _on_request(self, link: IncomingLink, delivery: Delivery) -> None:
        request = parse_request(delivery.payload)
        path = addresses.path_of(link.address)
        reply_link = self._reply_link(link, path, request.reply_to)
        if path == addresses.CBS:
            grant, reply = answer_cbs(self._broker, request, time.time())
            if grant is not None:
                self._add_grant(grant)
        else:
            reply = answer_management(self._broker, request, self._grants, time.time(), now_ms())
        if not delivery.settled:
            link.settle(delivery.delivery_id, delivery.delivery_id)
        waiting = self._replies[reply_link]
        waiting.append(reply)
        self._on_credit(reply_link)
        if len(waiting) > self._limits.max_waiting_replies:
            self._drop_links((reply_link,))
            reply_link.detach(LinkFault(RESOURCE_LIMIT, "Too many replies wait for credit."))

    def _reply_link(self, link: IncomingLink, path: str, reply_to: str | None) -> OutgoingLink:
        candidates = [
            each
            for each in self._replies
            if each.session is link.session and addresses.path_of(each.address) == path
        ]
        for each in candidates:
            if reply_to is not None and each.target_address == reply_to:
                return each
        if not candidates:
            raise LinkFault(NOT_ALLOWED, f"No link receives the replies of '{link.address}'.")
        return candidates[0]

    # -- time ---------------------------------------------------------------------------

    def _add_grant(self, grant: Grant) -> None:
        self._grants = [each for each in self._grants if each.path != grant.path] + [grant]
        loop = asyncio.get_running_loop()
        expires = min(each.expires_s for each in self._grants) - time.time()
        timer = self._timers.pop("expiry", None)
        if timer is not None:
            timer.cancel()
        # A token may be valid for years; a timer need not be.
        self._timers["expiry"] = loop.call_later(min(expires + 1, 86_400.0), self._expire)

    def _expire(self) -> None:
        """Detach the links whose token has run out and was not renewed."""
        now = time.time()
        self._grants = [grant for grant in self._grants if grant.expires_s > now]
        for link in {*self._publishers, *self._pumps}:
            try:
                self._authorize(link, "Renewed")
            except LinkFault as fault:
                self._drop_links((link,))
                link.detach(fault)
        self.flush()
        if self._grants:
            self._add_grant(self._grants[-1])

    def _watch(self) -> None:
        """Ask a silent client for a sign of life, and drop it if none comes."""
        silent = asyncio.get_running_loop().time() - self._last_seen
        if self._engine.state is not State.OPENED:
            return
        if silent >= self._limits.idle_close_s:
            message = f"The connection was inactive for {silent:.0f} seconds."
            self.close(ConnectionFault(CONNECTION_FORCED, message))
            return
        if silent >= self._limits.idle_probe_s and not self._probed:
            self._probed = True
            self._engine.probe()
            self.flush()
        due = self._limits.idle_close_s if self._probed else self._limits.idle_probe_s
        self._later("idle", max(due - silent, 0.01), self._watch)

    def _keep_alive(self, interval_s: float) -> None:
        self._engine.keep_alive()
        self.flush()
        self._later("keep-alive", interval_s, partial(self._keep_alive, interval_s))

    def _later(self, name: str, delay_s: float, action: Callable[[], None]) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, action)


def _names(capabilities: Any) -> tuple[Any, ...]:
    """Return a field of multiple symbols, which may also be a single one or null."""
    if isinstance(capabilities, Array):
        return capabilities.items
    return () if capabilities is None else (capabilities,)
