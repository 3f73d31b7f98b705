"""Small functions on packets."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from av.packet import Packet
from av.stream import Stream

_FARTHEST_S: Final = 2**31
"""In seconds, over sixty years: no recording is that long, nor can all containers store it."""


def with_data(packet: Packet[Stream], data: bytes) -> Packet[Stream]:
    """Return a packet with other content at the same time."""
    new: Packet[Stream] = Packet(data)
    new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
    return new


def revealed(packet: Packet[Stream], find_fragments: Callable[[], int]) -> Packet[Stream]:
    """Return a packet that is presented, although its demuxer says that it is hidden.

    It says so of what an edit list hides, which is to stay hidden; and in the fragments of an MP4
    of whatever does not begin later than the packet before. Muxers that end a fragment with every
    packet do not know yet how long that one lasts, so the next one gets the same time.
    ``find_fragments`` returns the offset at which those begin, in bytes.
    """
    if not packet.is_discard or packet.pos is None or packet.pos < find_fragments():
        return packet
    shown = with_data(packet, bytes(packet))
    shown.stream, shown.time_base = packet.stream, packet.time_base
    shown.is_keyframe = packet.is_keyframe
    for data in packet.iter_sidedata():
        shown.set_sidedata(data)
    return shown


def decoded_at(packet: Packet[Any]) -> int | None:
    """Return when a packet is decoded, in its ticks, or when it is shown if that is not known."""
    return packet.pts if packet.dts is None else packet.dts


def shown_at(packet: Packet[Any]) -> int | None:
    """Return when a packet is shown, in its ticks, or when it is decoded if that is not known."""
    return packet.dts if packet.pts is None else packet.pts


def begins(packet: Packet[Stream]) -> Fraction:
    """Return `decoded_at` in seconds; 0 if there is no timestamp at all."""
    return (decoded_at(packet) or 0) * packet.time_base


def is_far(packet: Packet[Stream]) -> bool:
    """Return whether a packet's timestamps are beyond what is plausible and can be written."""
    tick = packet.time_base
    farthest = _FARTHEST_S * tick.denominator // tick.numerator
    return abs(packet.pts or 0) > farthest or abs(packet.dts or 0) > farthest
