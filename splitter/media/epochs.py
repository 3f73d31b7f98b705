"""One continuous clock for broadcast recordings, whose clock may jump.

Transport and program streams are spliced and looped without restamping: the clock jumps by hours
from one packet to the next. A stretch without a jump is an epoch here, and each epoch is moved so
that it begins where the one before ended, for all tracks alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

_AHEAD_S = 10
"""A longer step forward is a jump; a shorter one is a gap in the recording and stays."""

_BEHIND_S = 3
"""A longer step back is a jump; tracks are stored up to this far apart from one another."""


@dataclass(slots=True)
class _Epoch:
    """A stretch of the recording; times in seconds of the recording's own clock."""

    latest: Fraction
    shift: Fraction


class Epochs:
    """Restamps packets in the order in which they are stored."""

    def __init__(self, may_jump: bool) -> None:
        self._may_jump = may_jump
        self._epochs: list[_Epoch] = []
        self._end = Fraction(0)
        self._jumps = 0

    def restamp(self, packet: Packet[Stream]) -> None:
        """Move a packet to the continuous clock; exact in its own ticks."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not self._may_jump:
            return
        time = stamp * packet.time_base
        epoch = self._find(time) or self._open(time)
        epoch.latest = max(epoch.latest, time)
        shift = round(epoch.shift / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift
        length = (packet.duration or 0) * packet.time_base
        self._end = max(self._end, time + epoch.shift + length)

    def warnings(self) -> Iterator[str]:
        """Tell that the clock was not continuous."""
        if self._jumps:
            times = "once" if self._jumps == 1 else f"{self._jumps} times"
            yield f"the recording's clock jumps {times}; the parts were joined without a gap"

    def _find(self, time: Fraction) -> _Epoch | None:
        # The last epoch but one still gets the packets of tracks that lag behind.
        for epoch in reversed(self._epochs[-2:]):
            if -_BEHIND_S <= time - epoch.latest <= _AHEAD_S:
                return epoch
        return None

    def _open(self, time: Fraction) -> _Epoch:
        shift = Fraction(0)
        if self._epochs:
            self._jumps += 1
            shift = self._end - time
        epoch = _Epoch(time, shift)
        self._epochs = [*self._epochs[-1:], epoch]
        return epoch
