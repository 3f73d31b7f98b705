"""One AMQP 1.0 connection without any I/O: bytes in, events and bytes out.

The engine implements the server's side of the protocol (part 2: transport, and the SASL
layer of part 5), and leaves every decision to its owner: which links to accept, what to
send on them, when to give up. An error of the client ends its link, its session or its
connection, depending on its scope, and never raises out of ``receive``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from local.eventhubs.amqp import sasl
from local.eventhubs.amqp.budget import Budget
from local.eventhubs.amqp.errors import (
    ILLEGAL_STATE,
    INVALID_FIELD,
    NOT_ALLOWED,
    RESOURCE_LIMIT,
    AmqpError,
    ConnectionFault,
    FramingError,
    SessionFault,
    TlsError,
)
from local.eventhubs.amqp.frames import (
    AMQP_FRAME,
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_FRAME,
    SASL_HEADER,
    Frame,
    FrameBuffer,
    encode_frame,
)
from local.eventhubs.amqp.limits import MIB, ConnectionLimits
from local.eventhubs.amqp.links import LinkEvent
from local.eventhubs.amqp.outcomes import describe_error
from local.eventhubs.amqp.performatives import (
    Begin,
    Close,
    End,
    Open,
    Performative,
    SaslInit,
    Transfer,
    decode_performative,
)
from local.eventhubs.amqp.session import Session, SessionEnded

# Section 2.4.1: no peer may announce less.
_MIN_MAX_FRAME_SIZE: Final = 512
# A client may announce 4 GiB, but larger frames than this gain nothing.
_MAX_PEER_FRAME_SIZE: Final = MIB
# RFC 8446, section 5.1: a record of type handshake, of any version.
_TLS_HANDSHAKE: Final = b"\x16\x03"


class State(Enum):
    """The state of a connection (section 2.4.6)."""

    HEADER = "header"
    SASL = "sasl"
    HEADER_AFTER_SASL = "header after sasl"
    OPENING = "opening"
    OPENED = "opened"
    CLOSING = "closing"  # the server closed, the client has not answered
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection is open."""

    peer: Open


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The connection is closed; ``error`` is the cause if it was closed because of one."""

    error: AmqpError | None


Event = Opened | LinkEvent | SessionEnded | ConnectionEnded


class Engine:
    """The state of one connection."""

    def __init__(
        self, *, container_id: str, limits: ConnectionLimits, check_plain: sasl.CheckPlain
    ) -> None:
        self._limits = limits
        self.state = State.HEADER
        self._peer_frame_size = _MIN_MAX_FRAME_SIZE
        self._container_id = container_id
        self._check_plain = check_plain
        self.plain_authenticated = False
        self._buffer = FrameBuffer()
        self._out = bytearray()
        self._sessions: dict[int, Session] = {}  # by the client's channel
        self._channels: set[int] = set()  # the server's
        self._ended: set[int] = set()  # the client's, of sessions that it ended
        self._budget = Budget(limits)

    # -- for the owner --------------------------------------------------------------

    def receive(self, data: bytes) -> Iterator[Event]:
        """Process bytes from the client, yielding events in order.

        The owner must react to an event before it takes the next, so that answers leave in
        the order in which their frames arrived.
        """
        if self.state in (State.CLOSING, State.CLOSED):
            # Section 2.4.3: after the server's close only the client's close matters, and
            # after a framing error not even that can be found.
            return
        self._buffer.feed(data)
        try:
            while self.state not in (State.CLOSING, State.CLOSED):
                progress, event = self._step()
                if event is not None:
                    yield event
                if not progress:
                    return
        except ConnectionFault as fault:
            yield from self._fail(fault)

    def take_output(self) -> bytes:
        """Return the bytes to send, and clear them."""
        if not self._out:
            return b""
        out = bytes(self._out)
        self._out.clear()
        return out

    def close(self, error: AmqpError | None = None) -> None:
        """Close the connection from the server's side, and its sessions with it."""
        if self.state in (State.OPENING, State.OPENED):
            if self.state is State.OPENING:
                self._write_open()  # Section 2.4.1: open comes before close
            self._write(0, Close(describe_error(error)))
            self.state = State.CLOSING
        elif self.state is not State.CLOSING:
            self.state = State.CLOSED

    def keep_alive(self) -> None:
        """Send an empty frame, so that the client does not time out."""
        if self.state is State.OPENED:
            self._out += EMPTY_FRAME

    def probe(self) -> None:
        """Make the client answer, as the service does: by a session flow with echo."""
        for session in self._sessions.values():
            if not session.ended:
                session.write_flow(echo=True)

    def expel(self, error: AmqpError) -> None:
        """Detach, end and close everything with ``error``, as the service does."""
        for session in self._sessions.values():
            if not session.ended:
                for link in session.links:
                    link.detach(error)
                session.end(error)
        self.close(error)

    def _write(self, channel: int, performative: Performative, payload: bytes = b"") -> None:
        """Append a frame to the output."""
        if self.state not in (State.CLOSING, State.CLOSED):
            self._out += encode_frame(channel, performative, payload)

    # -- the state machine --------------------------------------------------------------

    def _step(self) -> tuple[bool, Event | None]:
        """Consume one header or frame; return whether there was one, and what happened."""
        if self.state in (State.HEADER, State.HEADER_AFTER_SASL):
            header = self._buffer.take_header()
            if header is not None:
                return True, self._on_header(header)
            return False, None
        frame = self._buffer.take_frame(self._limits.max_frame_size)
        if frame is None:
            return False, None
        if frame.kind != (SASL_FRAME if self.state is State.SASL else AMQP_FRAME):
            message = f"a frame of type {frame.kind} is not expected now"
            raise FramingError(message)
        if self.state is State.SASL:
            return True, self._on_sasl(frame)
        return True, self._on_frame(frame)

    def _on_header(self, header: bytes) -> Event | None:
        if header == AMQP_HEADER:
            self._out += AMQP_HEADER
            self.state = State.OPENING
            return None
        if header == SASL_HEADER and self.state is State.HEADER:
            self._out += SASL_HEADER + sasl.offer()
            self.state = State.SASL
            return None
        # Section 2.2: answer with an acceptable header, and close.
        self._out += SASL_HEADER
        self.state = State.CLOSED
        if header.startswith(_TLS_HANDSHAKE):
            return ConnectionEnded(TlsError())
        return ConnectionEnded(FramingError(f"{header!r} is not a protocol header spoken here"))

    def _on_sasl(self, frame: Frame) -> Event | None:
        init, _ = decode_performative(frame.body, sasl=True)
        if not isinstance(init, SaslInit):
            raise ConnectionFault(NOT_ALLOWED, "only a sasl-init is expected now")
        code = sasl.judge(init, self._check_plain)
        self._out += sasl.outcome(code)
        if code != sasl.OK:
            self.state = State.CLOSED
            return ConnectionEnded(ConnectionFault(NOT_ALLOWED, "SASL authentication failed"))
        self.plain_authenticated = init.mechanism == "PLAIN"
        self.state = State.HEADER_AFTER_SASL
        return None

    def _on_frame(self, frame: Frame) -> Event | None:
        if not frame.body:
            return None  # Section 2.4.5: an empty frame keeps the connection alive
        performative, payload_at = decode_performative(frame.body)
        if isinstance(performative, Close):
            return self._on_close()
        if self.state is State.OPENING:
            if not isinstance(performative, Open):
                raise ConnectionFault(ILLEGAL_STATE, "the first frame must be an open")
            return self._on_open(performative)
        if isinstance(performative, Begin):
            self._on_begin(frame.channel, performative)
            return None
        return self._on_session_frame(frame, performative, payload_at)

    def _on_session_frame(
        self, frame: Frame, performative: Performative, payload_at: int
    ) -> Event | None:
        session = self._sessions.get(frame.channel)
        if session is None:
            if frame.channel in self._ended:
                # azure-eventhub ends a session before it detaches its links.
                return None
            message = f"no session has begun on channel {frame.channel}"
            raise ConnectionFault(NOT_ALLOWED, message)
        if isinstance(performative, End):
            return self._on_end(frame.channel, session)
        payload = frame.body[payload_at:] if isinstance(performative, Transfer) else b""
        try:
            return session.handle(performative, payload)
        except SessionFault as fault:
            links = tuple(session.links)
            session.end(fault)
            return SessionEnded(links)

    def _on_open(self, peer: Open) -> Event:
        if peer.max_frame_size < _MIN_MAX_FRAME_SIZE:
            message = f"max-frame-size is below {_MIN_MAX_FRAME_SIZE}"
            raise ConnectionFault(INVALID_FIELD, message)
        self._peer_frame_size = min(peer.max_frame_size, _MAX_PEER_FRAME_SIZE)
        self._write_open()
        self.state = State.OPENED
        return Opened(peer)

    def _write_open(self) -> None:
        self._write(
            0,
            Open(
                container_id=self._container_id,
                max_frame_size=self._limits.max_frame_size,
                channel_max=self._limits.channel_max,
                idle_time_out=self._limits.idle_time_out_ms,
            ),
        )

    def _on_begin(self, remote_channel: int, begin: Begin) -> None:
        if remote_channel in self._sessions or remote_channel > self._limits.channel_max:
            message = f"channel {remote_channel} is in use or beyond {self._limits.channel_max}"
            raise ConnectionFault(NOT_ALLOWED, message)
        if len(self._sessions) >= self._limits.max_sessions:
            message = f"more than {self._limits.max_sessions} sessions on one connection"
            raise ConnectionFault(RESOURCE_LIMIT, message)
        channel = next(n for n in range(len(self._channels) + 1) if n not in self._channels)
        self._channels.add(channel)
        self._ended.discard(remote_channel)
        session = Session(
            channel,
            begin,
            write=self._write,
            limits=self._limits,
            peer_frame_size=self._peer_frame_size,
            budget=self._budget,
        )
        self._sessions[remote_channel] = session
        session.begin(remote_channel)

    def _on_end(self, remote_channel: int, session: Session) -> Event | None:
        links = () if session.ended else tuple(session.links)
        session.on_end()
        del self._sessions[remote_channel]
        self._ended.add(remote_channel)
        self._channels.discard(session.channel)
        return SessionEnded(links)

    def _on_close(self) -> Event:
        if self.state is State.OPENING:
            self._write_open()
        self._write(0, Close())
        self.state = State.CLOSED
        return ConnectionEnded(None)

    def _fail(self, fault: ConnectionFault) -> Iterator[Event]:
        self.close(fault)
        yield ConnectionEnded(fault)
