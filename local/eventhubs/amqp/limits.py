"""The limits of one connection, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may use of its connection. The first group is what Event Hubs announces."""

    # Announced in open, begin and flow.
    max_frame_size: int = 65_536
    channel_max: int = 4_999
    idle_time_out_ms: int = 120_000
    incoming_window: int = 5_000
    outgoing_window: int = 65_536
    handle_max: int = 255

    # A silent client is probed, and then dropped.
    idle_probe_s: float = 180.0
    idle_close_s: float = 240.0
    # A client that connects without opening, or does not finish closing, occupies a socket.
    handshake_s: float = 30.0
    closing_s: float = 5.0

    # Limits of this broker, so that a client cannot use up the memory of the process.
    max_links: int = 1_024  # further ones are refused
    max_sessions: int = 1_024  # Python clients use one for each link
    max_partial_bytes: int = 16 * MIB  # of incomplete messages
    max_uncommitted_bytes: int = 4 * MIB  # reading pauses above this
    max_unsent_bytes: int = 4 * MIB  # reading pauses above this
    send_buffer_bytes: int = 256 * 1024  # the application waits above this
