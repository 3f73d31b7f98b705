"""One continuous clock for broadcast recordings, whose clock may jump.

Transport and program streams are spliced and looped without restamping: the clock jumps by hours
from one packet to the next. A stretch without a jump is an epoch here, and each epoch is moved so
that it begins where the one before ended, for all tracks alike.

Whether a packet jumps is judged by its own track: tracks are stored up to seconds apart from one
another, so around a pause the packets of one are far from those of the other and yet in their turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

LONGEST_PAUSE_S: Final = 10.0
"""The longest pause that is kept, unless told otherwise; a longer step forward is a jump."""

_BEHIND_S = 3
"""A longer step back is a jump; tracks are stored up to this far apart from one another."""


@dataclass(slots=True)
class _Epoch:
    """A stretch of the recording; times in seconds of the recording's own clock."""

    latest: Fraction
    shift: Fraction
    last: dict[int, Fraction] = field(default_factory=dict)
    """The time of each track's last packet."""


class Epochs:
    """Restamps packets in the order in which they are stored."""

    def __init__(self, may_jump: bool, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._may_jump = may_jump
        self._longest_pause = Fraction(longest_pause_s)
        self._epochs: list[_Epoch] = []
        self._end = Fraction(0)
        self._back = 0
        self._ahead: list[Fraction] = []

    def restamp(self, packet: Packet[Stream]) -> None:
        """Move a packet to the continuous clock; exact in its own ticks."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not self._may_jump:
            return
        time = stamp * packet.time_base
        track = packet.stream_index
        epoch = self._find(time, track) or self._open(time, track)
        epoch.latest = max(epoch.latest, time)
        epoch.last[track] = time
        shift = round(epoch.shift / packet.time_base)
        packet.dts = None if packet.dts is None else packet.dts + shift
        packet.pts = None if packet.pts is None else packet.pts + shift
        length = (packet.duration or 0) * packet.time_base
        self._end = max(self._end, time + epoch.shift + length)

    def warnings(self) -> Iterator[str]:
        """Tell that the clock was not continuous."""
        if self._back:
            times = "once" if self._back == 1 else f"{self._back} times"
            yield f"the recording's clock jumps back {times}; the parts were joined without a gap"
        if self._ahead:
            count = len(self._ahead)
            times = "once" if count == 1 else f"{count} times"
            longest = float(max(self._ahead))
            yield (
                f"the recording pauses, or its clock jumps ahead, {times} (by up to {longest:.1f} "
                f"s); the parts were joined without a gap, since more than "
                f"{float(self._longest_pause):g} s (LONGEST_PAUSE_S) is taken for a jump"
            )

    def _find(self, time: Fraction, track: int) -> _Epoch | None:
        # The last epoch but one still gets the packets of tracks that lag behind.
        recent = self._epochs[-2:]
        own = [e for e in recent if track in e.last and self._follows(time, e.last[track])]
        if own:
            return own[-1]
        # A track that has not jumped may pause while the others go on.
        return next((e for e in reversed(recent) if self._follows(time, e.latest)), None)

    def _follows(self, time: Fraction, before: Fraction) -> bool:
        return -_BEHIND_S <= time - before <= self._longest_pause

    def _open(self, time: Fraction, track: int) -> _Epoch:
        shift = Fraction(0)
        if self._epochs:
            before = self._epochs[-1]
            step = time - before.last.get(track, before.latest)
            shift = self._end - time
            if step > 0:
                self._ahead.append(step)
            else:
                self._back += 1
        epoch = _Epoch(time, shift)
        self._epochs = [*self._epochs[-1:], epoch]
        return epoch
