"""Detect whether a video's frames come at a constant rate, and whether that has gaps."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Final

_MOST_KINDS: Final = 64
"""A video with more different steps than these has a variable rate."""
_USUAL_SHARE: Final = Fraction(3, 4)
_ROUNDING: Final = 2
"""By how many ticks steps of a constant rate may differ because they are rounded."""


class Rhythm:
    """Counts the steps from one frame to the next, in ticks."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()

    def note(self, step: int) -> None:
        """Count a step, which is above zero."""
        if len(self._steps) <= _MOST_KINDS:
            self._steps[step] += 1

    @property
    def has_gaps(self) -> bool:
        """Whether some frames come late by one step or more, at an otherwise constant rate.

        That alone does not show damage: cameras and screen recorders skip frames.
        """
        if not self._steps or len(self._steps) > _MOST_KINDS:
            return False
        ((usual, _),) = self._steps.most_common(1)
        steady = sum(n for step, n in self._steps.items() if abs(step - usual) <= _ROUNDING)
        late = any(
            step + _ROUNDING >= 2 * usual for step in self._steps if step > usual + _ROUNDING
        )
        return late and steady >= _USUAL_SHARE * self._steps.total()
