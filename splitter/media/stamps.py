"""The timestamps of copied packets, in the ticks of their new track."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet, PacketSideData
from av.stream import Stream

from shared.media.packets import decoded_at

_SKIPPED = struct.Struct("<II")
"""How many samples to skip at the beginning and at the end of a packet."""

_OPUS_RATE = 48000


@dataclass(slots=True)
class Stamper:
    """Gives one track's packets exact timestamps in order.

    ``start`` is subtracted, in the source's ticks; ``scale`` is the number of the new track's ticks
    per source tick. If ``strict``, decoding times must increase; otherwise they must not decrease.
    """

    start: Fraction
    scale: Fraction
    tick: Fraction
    strict: bool
    last_dts: int | None = None
    _next_dts: int = 0
    _step: int = 0

    def stamp(self, packet: Packet[Stream]) -> None:
        """Convert a packet's timestamps to the new track's."""
        dts = decoded_at(packet)
        dts = self._next_dts if dts is None else self._moved(dts)
        pts = dts if packet.pts is None else self._moved(packet.pts)
        if self.last_dts is not None:
            dts = max(dts, self.last_dts + self.strict)
            if dts > self.last_dts:
                self._step = min(self._step or dts, dts - self.last_dts)
        # Only the duration of a track's last packet matters: all others last until the next one.
        duration = round((packet.duration or 0) * self.scale) or self._step
        packet.time_base = self.tick
        packet.dts, packet.pts, packet.duration = dts, max(pts, dts), duration
        self.last_dts = dts
        self._next_dts = dts + max(duration, 1)

    def _moved(self, ticks: int) -> int:
        """Return ``round((ticks - self.start) * self.scale)``, in integers since it runs often."""
        start, scale = self.start, self.scale
        parts = (ticks * start.denominator - start.numerator) * scale.numerator
        whole, rest = divmod(parts, unit := start.denominator * scale.denominator)
        return whole + (2 * rest > unit or (2 * rest == unit and whole % 2 == 1))


def padding_of(packet: Packet[Stream]) -> Fraction:
    """Return how much of an Opus packet's end is padding, in seconds."""
    if not packet.has_sidedata("skip_samples"):
        return Fraction(0)
    data = bytes(PacketSideData.from_packet(packet, "skip_samples"))
    if len(data) < _SKIPPED.size:
        return Fraction(0)
    _, at_end = _SKIPPED.unpack_from(data)
    return Fraction(at_end, _OPUS_RATE)
