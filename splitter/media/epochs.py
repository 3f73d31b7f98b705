"""One continuous clock for broadcast recordings, whose clock may jump.

Transport and program streams are spliced and looped without restamping, so the clock can jump by
hours from one packet to the next. A stretch without a jump is called an epoch here, and each epoch
is moved to begin where the one before ended, for all tracks alike.

Whether a packet jumps is judged within its own track: tracks are stored up to seconds apart, so
around a pause the packets of one are far from those of another and still in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

from shared.media.packets import decoded_at

LONGEST_PAUSE_S: Final = 10.0
"""The longest pause that is kept by default; a longer step forward is a jump."""

_BEHIND_S = 3
"""Tracks are stored up to this many seconds apart."""

_BACK_S = 1
"""A longer step back within a track is a jump; shorter ones occur if packets have only presentation
times and there are B-frames."""


def is_jump(step: Fraction, longest_pause: Fraction) -> bool:
    """Return whether the clock jumps between two packets of a track that are a ``step`` apart."""
    return not -_BACK_S <= step <= longest_pause


@dataclass(slots=True)
class _Epoch:
    """A stretch of the recording; times in seconds of the recording's own clock."""

    latest: Fraction
    shift: Fraction
    last: dict[int, Fraction] = field(default_factory=dict)
    """The time of each track's last packet."""


@dataclass(slots=True)
class _Run:
    """Consecutive packets of one track within an epoch, in the track's ticks."""

    epoch: _Epoch
    tick: Fraction
    shift: int
    last: int
    end: int


class Epochs:
    """Restamps packets in the order in which they are stored."""

    def __init__(self, may_jump: bool, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._may_jump = may_jump
        self._longest_pause = Fraction(longest_pause_s)
        self._epochs: list[_Epoch] = []
        self._runs: dict[int, _Run] = {}
        self._end = Fraction(0)
        self._back = 0
        self._ahead: list[Fraction] = []

    def restamp(self, packet: Packet[Stream]) -> None:
        """Move a packet to the continuous clock; exact in its own ticks."""
        stamp = decoded_at(packet)
        if stamp is None or not self._may_jump:
            return
        run = self._runs.get(packet.stream_index)
        if (
            run is None
            or run.epoch is not self._epochs[-1]
            or not 0 <= (stamp - run.last) * run.tick.numerator <= run.tick.denominator
        ):
            run = self._judge(packet, stamp)
        run.last = stamp
        run.end = max(run.end, stamp + (packet.duration or 0))
        packet.dts = None if packet.dts is None else packet.dts + run.shift
        packet.pts = None if packet.pts is None else packet.pts + run.shift

    def _judge(self, packet: Packet[Stream], stamp: int) -> _Run:
        """Find the epoch of a packet that does not simply follow the one before."""
        for number, before in self._runs.items():
            last = before.last * before.tick
            before.epoch.last[number] = last
            before.epoch.latest = max(before.epoch.latest, last)
            self._end = max(self._end, before.end * before.tick + before.epoch.shift)
        track, tick = packet.stream_index, packet.time_base
        time = stamp * tick
        epoch = self._find(time, track) or self._open(time, track)
        run = _Run(epoch, tick, round(epoch.shift / tick), stamp, stamp)
        self._runs[track] = run
        return run

    def warnings(self) -> Iterator[str]:
        """Yield how the clock was not continuous, one sentence each."""
        if self._back:
            times = "once" if self._back == 1 else f"{self._back} times"
            yield f"the recording's clock jumps back {times}; the parts were joined without a gap"
        if self._ahead:
            count = len(self._ahead)
            times = "once" if count == 1 else f"{count} times"
            longest = float(max(self._ahead))
            yield (
                f"the recording pauses, or its clock jumps ahead, {times} (by up to {longest:.1f} "
                "s); the parts were joined without a gap, since more than "
                f"{float(self._longest_pause):g} s (LONGEST_PAUSE_S) counts as a jump"
            )

    def _find(self, time: Fraction, track: int) -> _Epoch | None:
        # Packets of tracks that lag behind still belong to the last epoch but one.
        recent = self._epochs[-2:]
        steps = [(time - epoch.last[track], epoch) for epoch in recent if track in epoch.last]
        own = [(step, e) for step, e in steps if not is_jump(step, self._longest_pause)]
        if own:
            step, latest = own[-1]
            # (A single wrong timestamp opens an epoch that nothing continues.)
            return latest if step <= _BACK_S else min(own, key=lambda one: abs(one[0]))[1]
        # A track that has not jumped may pause while the others go on.
        others = [e for e in recent if time - e.last.get(track, time) >= -_BACK_S]
        return next((e for e in reversed(others) if self._follows(time, e.latest)), None)

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
