"""Which of a job's segments are painted, and when each is shown.

Segments are painted out of order. The run without gaps from the first one can be played; segments
after a gap are known as well, so that they can be shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from shared.contracts.segment_place import SegmentPlace


@dataclass(slots=True)
class Index:
    """The known segments of one job: those without a gap from the first, and others."""

    playable: list[SegmentPlace] = field(default_factory=list)
    ahead: dict[int, SegmentPlace] = field(default_factory=dict)

    def add(self, found: Iterable[tuple[int, SegmentPlace]]) -> None:
        """Add segments by their number."""
        self.ahead |= {number: place for number, place in found if number >= len(self.playable)}
        while (place := self.ahead.pop(len(self.playable), None)) is not None:
            self.playable.append(place)

    def place(self, number: int) -> SegmentPlace | None:
        """Return a segment's place; None if it is not painted yet."""
        if 0 <= number < len(self.playable):
            return self.playable[number]
        return self.ahead.get(number)

    @property
    def begins_s(self) -> Fraction:
        """When the first frame is shown, in seconds; 0 while that is unknown."""
        return self.playable[0].start_s if self.playable else Fraction(0)

    @property
    def playable_s(self) -> Fraction:
        """How many seconds can be played from the first frame on."""
        if not self.playable:
            return Fraction(0)
        last = self.playable[-1]
        return last.start_s + last.duration_s - self.begins_s

    def painted_ahead(self) -> list[tuple[Fraction, Fraction]]:
        """Return the times covered by segments beyond the first gap, in seconds, merged."""
        spans: list[tuple[Fraction, Fraction]] = []
        for _, place in sorted(self.ahead.items()):
            end = place.start_s + place.duration_s
            if spans and spans[-1][1] == place.start_s:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((place.start_s, end))
        return spans
