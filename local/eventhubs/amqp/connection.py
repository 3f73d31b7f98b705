"""One client on its socket: bytes to the engine and back, back-pressure, and deadlines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from local.eventhubs.amqp.engine import (
    ConnectionEnded,
    Engine,
    Event,
    Opened,
    State,
)
from local.eventhubs.amqp.errors import (
    CONNECTION_FORCED,
    INTERNAL_ERROR,
    AmqpError,
    ConnectionFault,
)
from local.eventhubs.amqp.limits import ConnectionLimits
from local.eventhubs.amqp.links import (
    CreditChanged,
    Delivery,
    IncomingLink,
    Link,
    LinkAttaching,
    LinkDetached,
    MessageArrived,
    OutgoingLink,
)
from local.eventhubs.amqp.sasl import CheckPlain
from local.eventhubs.amqp.session import SessionEnded

_LOGGER: Final = logging.getLogger(__name__)
# A client may ask for keep-alive frames at any rate, but does not get them more often than this.
_MIN_KEEP_ALIVE_S: Final = 0.5


class Application(Protocol):
    """The application behind a connection: decides about links, takes and sends messages."""

    @property
    def uncommitted_bytes(self) -> int:
        """The bytes that it took and has not stored yet; above a limit, reading pauses."""

    def authenticated(self) -> None:
        """The client has proved itself by name and key (SASL PLAIN)."""

    def attach(self, link: Link) -> None:
        """Accept or refuse a link."""

    def receive(self, link: IncomingLink, delivery: Delivery) -> None:
        """Take a message."""

    def flush_pending(self, link: OutgoingLink) -> None:
        """Use the credit that the client has granted."""

    def drop_links(self, links: tuple[Link, ...]) -> None:
        """Release what links held that are gone."""

    def run_pumps(self) -> None:
        """Continue sending, since the socket accepts more."""

    def failed(self, error: AmqpError) -> None:
        """The client violated the protocol, and its connection is closed."""

    def release(self) -> None:
        """Release everything, since the connection is gone."""


class Connection(asyncio.Protocol):
    """The life of one connection, from its first byte to its last."""

    def __init__(
        self,
        serve: Callable[[Connection], Application],
        *,
        container_id: str,
        limits: ConnectionLimits,
        check_plain: CheckPlain,
        on_closed: Callable[[Connection], None],
    ) -> None:
        self._limits = limits
        self._on_closed = on_closed
        self._engine = Engine(container_id=container_id, limits=limits, check_plain=check_plain)
        self._application = serve(self)
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self._reading = True
        self._last_seen = 0.0
        self._probed = False
        self._timers: dict[str, asyncio.TimerHandle] = {}

    # -- the socket ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline: a client that does not open in time is dropped."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.send_buffer_bytes)
        self._later("deadline", self._limits.handshake_s, self.abort)

    def data_received(self, data: bytes) -> None:
        """Process what came in; its errors affect this connection only."""
        self._last_seen = asyncio.get_running_loop().time()
        self._probed = False
        try:
            for event in self._engine.receive(data):
                self._on_event(event)
        except Exception:
            # A bug in the server may cost this client its connection, but must not affect others.
            _LOGGER.exception("a connection failed")
            self._engine.close(ConnectionFault(INTERNAL_ERROR, "The server failed."))
            self._finish()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - of the base class
        """Release what the connection held."""
        self._transport = None
        for timer in self._timers.values():
            timer.cancel()
        self._application.release()
        self._engine.close()
        self._on_closed(self)

    def pause_writing(self) -> None:
        """The socket is backed up, so pumps wait."""
        self._writable = False

    def resume_writing(self) -> None:
        """The socket accepts more."""
        self._writable = True
        self.balance_reading()
        self._application.run_pumps()

    @property
    def is_writable(self) -> bool:
        """Whether the socket accepts more."""
        return self._writable and self._transport is not None

    @property
    def unsent_bytes(self) -> int:
        """The bytes that were written and that the socket has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def flush(self) -> None:
        """Pass what the engine wrote to the socket."""
        output = self._engine.take_output()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)
            self.balance_reading()

    def balance_reading(self) -> None:
        """Pause reading while too many of the client's bytes are unsaved, or unread by it."""
        if self._transport is None or self._transport.is_closing():
            return
        reading = (
            self._application.uncommitted_bytes <= self._limits.max_uncommitted_bytes
            and self.unsent_bytes <= self._limits.max_unsent_bytes
        )
        if reading != self._reading:
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    # -- what the engine reports --------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        match event:
            case MessageArrived(link, delivery):
                self._application.receive(link, delivery)
            case CreditChanged(links):
                for link in links:
                    self._application.flush_pending(link)
            case LinkAttaching(link):
                self._application.attach(link)
            case LinkDetached(link):
                self._application.drop_links((link,))
            case SessionEnded(links):
                self._application.drop_links(links)
            case Opened(peer):
                self._on_open(peer.idle_time_out)
            case ConnectionEnded(error):
                if error is not None:
                    self._application.failed(error)
                self._finish()

    def _on_open(self, idle_time_out_ms: int | None) -> None:
        self._later("deadline", self._limits.idle_probe_s, self._watch)
        if self._engine.plain_authenticated:
            self._application.authenticated()
        if idle_time_out_ms:
            self._keep_alive(max(idle_time_out_ms / 2000, _MIN_KEEP_ALIVE_S))

    # -- the end ------------------------------------------------------------------------

    def close(self, error: AmqpError | None = None) -> None:
        """Close from the server's side, with the reason."""
        self._engine.expel(error or ConnectionFault(CONNECTION_FORCED, "The server is stopping."))
        self._finish()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        """Close the socket after a close: at once if the client closed, else after its answer."""
        self.flush()
        if self._transport is None:
            return
        if self._engine.state is State.CLOSED:
            self._transport.close()
        elif not self._reading:
            # Only the client's answer still matters.
            self._reading = True
            self._transport.resume_reading()
        # After the server's close it is the client's turn: closing the socket before the
        # client has read that close could reset the connection.
        self._later("deadline", self._limits.closing_s, self.abort)

    # -- time ---------------------------------------------------------------------------

    def _watch(self) -> None:
        """Probe a silent client, and drop it if it does not answer."""
        if self._engine.state is not State.OPENED:
            return
        silent_s = asyncio.get_running_loop().time() - self._last_seen
        if silent_s >= self._limits.idle_close_s:
            message = f"The connection was inactive for {silent_s:.0f} seconds."
            self.close(ConnectionFault(CONNECTION_FORCED, message))
            return
        if silent_s >= self._limits.idle_probe_s and not self._probed:
            self._probed = True
            self._engine.probe()
            self.flush()
        due_s = self._limits.idle_close_s if self._probed else self._limits.idle_probe_s
        self._later("deadline", max(due_s - silent_s, 0.01), self._watch)

    def _keep_alive(self, interval_s: float) -> None:
        self._engine.keep_alive()
        self.flush()
        self._later("keep-alive", interval_s, partial(self._keep_alive, interval_s))

    def _later(self, name: str, delay_s: float, action: Callable[[], None]) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(delay_s, action)
