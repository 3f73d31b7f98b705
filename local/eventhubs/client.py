"""What the broker does for one client: its tokens, its links, its messages.

The engine reports, the client decides: which links may attach, where messages go, and
how requests are answered. Sockets and clocks are its connection's business.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import Final, Protocol

from local.eventhubs import addresses
from local.eventhubs.amqp.errors import (
    ARGUMENT_ERROR,
    INTERNAL_ERROR,
    INVALID_FIELD,
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT,
    UNAUTHORIZED,
    AmqpError,
    DecodeError,
    LinkFault,
    TlsError,
)
from local.eventhubs.amqp.links import SETTLED, Delivery, IncomingLink, Link, OutgoingLink
from local.eventhubs.amqp.message import parse_request
from local.eventhubs.authorization import Grant
from local.eventhubs.broker import Broker
from local.eventhubs.eventdata import BATCH_FORMAT, split
from local.eventhubs.groups import Reader, ReaderSeats
from local.eventhubs.hub import Hub, Partition
from local.eventhubs.nodes import answer_cbs, answer_management
from local.eventhubs.pump import Outlet, ReaderPump

_LOGGER: Final = logging.getLogger(__name__)
_ANY_SIZE: Final = 0xFFFF_FFFF_FFFF_FFFF
_EPOCH: Final = "com.microsoft:epoch"
_TIMEOUT: Final = "com.microsoft:timeout"
_RUNTIME_METRIC: Final = "com.microsoft:enable-receiver-runtime-metric"
_LONGEST_KEY: Final = 128  # as on the service
# A token may be valid for years, but a timer need not run that long.
_LONGEST_TIMER_S: Final = 86_400.0


class Socket(Outlet, Protocol):
    """What a client needs of its connection."""

    def balance_reading(self) -> None:
        """Decide again whether to read on, since ``uncommitted_bytes`` has changed."""


class Client:
    """The links of one connection, and what each is connected to."""

    def __init__(self, broker: Broker, socket: Socket) -> None:
        self._broker = broker
        self._limits = broker.limits
        self._socket = socket
        self.uncommitted_bytes = 0
        self._grants: list[Grant] = []
        self._expiry: asyncio.TimerHandle | None = None
        self._publishers: dict[Link, tuple[Hub, Partition | None]] = {}
        self._pumps: dict[Link, ReaderPump] = {}
        self._seats: dict[Link, tuple[ReaderSeats, Reader]] = {}
        self._replies: dict[OutgoingLink, deque[bytes]] = {}
        self._settled: list[tuple[IncomingLink, int, AmqpError | None]] = []

    def authenticated(self) -> None:
        """Allow everything: the client knows the key."""
        self.add_grant(Grant("", float("inf")))

    def failed(self, error: AmqpError) -> None:
        """Log why the connection is closed."""
        hint = (
            " (add UseDevelopmentEmulator=true to the client's connection string)"
            if isinstance(error, TlsError)
            else ""
        )
        self._broker.notices.warn("closed connections", f"closing a connection: {error}{hint}")

    def release(self) -> None:
        """Release everything, since the connection is gone."""
        if self._expiry is not None:
            self._expiry.cancel()
        self.drop_links(tuple({*self._publishers, *self._pumps, *self._seats, *self._replies}))

    def run_pumps(self) -> None:
        """Send readers what waits for them, since the socket accepts more."""
        for pump in list(self._pumps.values()):
            pump.run()

    # -- tokens -------------------------------------------------------------------------

    def add_grant(self, grant: Grant) -> None:
        """Allow what a token grants, replacing an earlier grant of the same path."""
        self._grants = [each for each in self._grants if each.path != grant.path] + [grant]
        self._watch_expiry()

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._grants:
            left = min(grant.expires_s for grant in self._grants) - time.time()
            delay = min(max(left, 0.0) + 0.1, _LONGEST_TIMER_S)
            self._expiry = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        """Detach the links whose token has expired and was not renewed."""
        now = time.time()
        self._grants = [grant for grant in self._grants if grant.expires_s > now]
        for link in {*self._publishers, *self._pumps}:
            try:
                self._authorize(link, "Renewed")
            except LinkFault as fault:
                self.drop_links((link,))
                link.detach(fault)
        self._socket.flush()
        self._watch_expiry()

    def _authorize(self, link: Link, claim: str) -> None:
        path = addresses.path_of(link.address)
        if not any(grant.covers(path, time.time()) for grant in self._grants):
            message = f"Unauthorized access. '{claim}' claim(s) are required for '{link.address}'."
            raise LinkFault(UNAUTHORIZED, message)

    # -- links --------------------------------------------------------------------------

    def attach(self, link: Link) -> None:
        """Accept or refuse a link."""
        try:
            path = addresses.path_of(link.address)
            if path.split("/")[-1] in (addresses.CBS, addresses.MANAGEMENT):
                self._attach_request_link(link)
            elif isinstance(link, IncomingLink):
                self._attach_publisher(link)
            elif isinstance(link, OutgoingLink):
                self._attach_reader(link)
        except LinkFault as fault:
            link.refuse(fault)
        except OSError as error:  # such as that no more files can be opened
            _LOGGER.error("cannot attach a link to %s: %r", link.address, error)
            link.refuse(LinkFault(INTERNAL_ERROR, "The events could not be read."))

    def drop_links(self, links: tuple[Link, ...]) -> None:
        """Release what links held, if anything."""
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

    def flush_pending(self, link: OutgoingLink) -> None:
        """Use the credit that a reader or a requester has granted."""
        pump = self._pumps.get(link)
        if pump is not None:
            pump.run()
        waiting = self._replies.get(link)
        while waiting and link.can_send:
            link.send(waiting.popleft(), settled=False)

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
        offset = partition.locate(addresses.parse_position(link.source))
        asked = link.properties
        epoch = asked.get(_EPOCH)
        if epoch is not None and (not isinstance(epoch, int) or epoch < 0):
            raise LinkFault(INVALID_FIELD, f"The epoch '{epoch}' is not a number from 0 on.")
        reader = Reader(link.name, epoch, partial(self._evict, link))
        seats.admit(reader, self._limits.max_readers)
        self._seats[link] = (seats, reader)
        link.accept(
            max_message_size=self._limits.max_message_size,
            properties={name: value for name, value in asked.items() if name in (_EPOCH, _TIMEOUT)},
            snd_settle_mode=SETTLED,
        )
        self._pumps[link] = ReaderPump(
            link,
            partition,
            offset,
            self._socket,
            tracks_last_enqueued=_RUNTIME_METRIC in link.desired_capabilities,
        )

    def _evict(self, link: OutgoingLink, error: AmqpError) -> None:
        self.drop_links((link,))
        link.detach(error)
        self._socket.flush()

    # -- messages -----------------------------------------------------------------------

    def receive(self, link: IncomingLink, delivery: Delivery) -> None:
        """Publish an event or a batch, or answer a request."""
        try:
            publisher = self._publishers.get(link)
            if publisher is None:
                self._answer(link, delivery)
            else:
                self._publish(link, delivery, *publisher)
        except (LinkFault, DecodeError) as error:
            # The delivery's content is at fault, not the framing, so only it is rejected.
            if not delivery.settled:
                link.settle(delivery.delivery_id, delivery.delivery_id, error)

    def _publish(
        self, link: IncomingLink, delivery: Delivery, hub: Hub, partition: Partition | None
    ) -> None:
        if delivery.message_format not in (0, BATCH_FORMAT):
            message = f"The message format {delivery.message_format:#x} is not known."
            raise LinkFault(NOT_IMPLEMENTED, message)
        events, key = split(delivery.payload, delivery.message_format)
        if key is not None and len(key) > _LONGEST_KEY:
            message = f"A partition key has at most {_LONGEST_KEY} characters, not {len(key)}."
            raise LinkFault(ARGUMENT_ERROR, message)
        if partition is None:
            partition = hub.partition_for(key)
        self.uncommitted_bytes += len(delivery.payload)
        self._socket.balance_reading()
        partition.publish(events, key, partial(self._published, link, delivery))

    def _published(self, link: IncomingLink, delivery: Delivery, error: AmqpError | None) -> None:
        self.uncommitted_bytes -= len(delivery.payload)
        self._socket.balance_reading()
        if delivery.settled:
            return
        if not self._settled:
            # Everything that one commit settles leaves in one write.
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
            link.settle(first, last, error)
        self._socket.flush()

    def _answer(self, link: IncomingLink, delivery: Delivery) -> None:
        request = parse_request(delivery.payload)
        path = addresses.path_of(link.address)
        reply_link = self._reply_link(link, path, request.reply_to)
        if path.endswith(addresses.CBS):
            grant, reply = answer_cbs(self._broker, request, time.time())
            if grant is not None:
                self.add_grant(grant)
        else:
            reply = answer_management(self._broker, request, self._grants, time.time())
        if not delivery.settled:
            link.settle(delivery.delivery_id, delivery.delivery_id)
        waiting = self._replies[reply_link]
        waiting.append(reply)
        self.flush_pending(reply_link)
        if len(waiting) > self._limits.max_waiting_replies:
            self.drop_links((reply_link,))
            reply_link.detach(LinkFault(RESOURCE_LIMIT, "Too many replies wait for credit."))

    def _reply_link(self, link: IncomingLink, path: str, reply_to: str | None) -> OutgoingLink:
        candidates = [
            each
            for each in self._replies
            if each.channel is link.channel and addresses.path_of(each.address) == path
        ]
        for each in candidates:
            if reply_to is not None and each.target_address == reply_to:
                return each
        if not candidates:
            raise LinkFault(NOT_ALLOWED, f"No link receives the replies of '{link.address}'.")
        return candidates[0]
