"""Move the grid on which pictures are painted along with the camera, by whole pixels.

A style network downsamples to a quarter of the resolution: moved by one pixel, the same picture is
sampled differently, and so painted differently. So each frame is placed on the network's grid where
its content was before. The movement from one frame to the next is rounded, not the position:
otherwise a slow drift would jump by a whole pixel now and then, which is worse than what it changes
anyway.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from shared.contracts.manifest import GridShift, Place

_QUARTERS: Final = 4
_START: Final = (Place(0, 0), GridShift(0, 0))


class Grid:
    """Adds up the movement of pictures that are painted at ``scale``, relative to the frame."""

    def __init__(self, scale: Fraction) -> None:
        self._pixels, self._quarters = scale.numerator, scale.denominator * _QUARTERS
        self._place, self._shift = _START

    def follow(self, place: Place, *, cut: bool) -> GridShift:
        """Return the shift of the next frame; a ``cut`` resets it to 0, 0."""
        if cut:
            self._place, self._shift = _START
        if place == self._place:
            return self._shift
        moved = (
            # (As exact as with fractions, and ten times as fast.)
            round(self._pixels * (now - before) / self._quarters)
            for now, before in zip(place, self._place, strict=True)
        )
        down, across = (way + by for way, by in zip(self._shift, moved, strict=True))
        self._place, self._shift = place, GridShift(down, across)
        return self._shift
