"""Every bound of the broker in one place, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may use. The first group is what the real service announces."""

    # Announced in open, begin, attach and flow, as the service does.
    max_frame_size: int = 65_536
    channel_max: int = 4_999
    idle_time_out_ms: int = 120_000
    incoming_window: int = 5_000
    outgoing_window: int = 65_536
    handle_max: int = 255
    max_message_size: int = MIB
    sender_credit: int = 300
    request_credit: int = 100

    # A client that is silent is asked for a sign of life, and then dropped.
    idle_probe_s: float = 180.0
    idle_close_s: float = 240.0
    # A client that connects and does not open, or does not finish closing, holds a socket.
    handshake_s: float = 30.0
    closing_s: float = 5.0

    # Our own, so that no client can grow the memory of the process.
    max_connections: int = 900  # files are opened too, and 1,024 is a common limit for both
    max_links: int = 1_024  # of one connection
    max_sessions: int = 256  # of one connection
    max_partial_bytes: int = 16 * MIB  # messages of one connection that are not complete yet
    max_uncommitted_bytes: int = 4 * MIB  # of one connection: reading pauses above
    max_unsent_bytes: int = 4 * MIB  # of one connection: reading pauses above
    send_buffer_bytes: int = 256 * 1024  # a reader's pump waits above
    max_waiting_replies: int = 100  # of one request link without credit
    max_request_bytes: int = 65_536  # of one request to $cbs or $management
    # The service allows five readers without an epoch on a partition of a group.
    max_readers: int = 5
