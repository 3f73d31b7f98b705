"""Count the packets that a demuxer marks as damaged.

That of transport streams also marks the last packet of a track before its counter begins anew, as
it does where recordings, or the segments of a stream, follow one another. Nothing is missing there
if the times go on, or if the clock is another one.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

from shared.media.packets import decoded_at
from splitter.media.epochs import is_jump

_MOST_STEPS: Final = Fraction(3, 2)
"""A step of at least so many usual ones means that a packet is missing."""
_WATCHED: Final = 2
"""How many steps after a marked packet have to be usual ones: parsers pass marks on late."""


class Marks:
    """Counts marked packets, and those of them that lie at the end of a recording.

    A pause of up to ``longest_pause_s`` is not taken for a jump of the clock.
    """

    def __init__(self, longest_pause_s: float) -> None:
        self._longest_pause = Fraction(longest_pause_s)
        self._marked: Counter[int] = Counter()
        self._joints: Counter[int] = Counter()
        self._watched: Counter[int] = Counter()
        self._last: dict[int, int] = {}
        self._usual: dict[int, int] = {}

    def count(self, track: int, *, but_joints: bool) -> int:
        """Return how many packets of a track were marked; without those at joints if asked for."""
        return self._marked[track] - (self._joints[track] if but_joints else 0)

    def note(self, packet: Packet[Stream]) -> None:
        """Process the next stored packet, before its timestamps are changed."""
        track, stamp = packet.stream_index, decoded_at(packet)
        if stamp is not None:
            step = stamp - self._last.get(track, stamp)
            if not self._watched[track]:
                self._usual[track] = step
            elif self._goes_on(track, step, packet.time_base):
                self._watched[track] -= 1
                self._joints[track] += not self._watched[track]
            else:
                self._watched[track] = 0
            self._last[track] = stamp
        if packet.is_corrupt:
            self._marked[track] += 1
            self._watched[track] = _WATCHED

    def _goes_on(self, track: int, step: int, tick: Fraction) -> bool:
        """Return whether no packet is missing before one that comes after a step."""
        is_usual = 0 <= step < self._usual[track] * _MOST_STEPS
        return is_usual or is_jump(step * tick, self._longest_pause)
