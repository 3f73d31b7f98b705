"""Small questions to packets."""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.stream import Stream


def with_data(packet: Packet[Stream], data: bytes) -> Packet[Stream]:
    """Return a packet with other content at the same time."""
    new: Packet[Stream] = Packet(data)
    new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
    return new


def begins(packet: Packet[Stream]) -> Fraction:
    """Return when a packet is decoded, in seconds; where it does not say, when it is shown."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return (ticks or 0) * packet.time_base
