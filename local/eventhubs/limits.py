"""The limits of the broker, with their reasons, in addition to those of each connection."""

from __future__ import annotations

from dataclasses import dataclass

from local.eventhubs.amqp.limits import MIB, ConnectionLimits


@dataclass(frozen=True, slots=True)
class Limits(ConnectionLimits):
    """What clients may use of the broker."""

    # Announced in attach and flow, as the service does.
    max_message_size: int = MIB
    sender_credit: int = 300
    request_credit: int = 100

    max_connections: int = 900  # or fewer, if the process may not open as many files
    max_waiting_replies: int = 100  # of one request link without credit
    max_request_bytes: int = 65_536  # of one request to $cbs or $management
    # The service allows five readers without an epoch on a partition of a group.
    max_readers: int = 5
