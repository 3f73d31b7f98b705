"""How fast a number grows, over the last few seconds."""

from __future__ import annotations

from collections import deque
from typing import Final

_WINDOW_S: Final = 12.0
_LEAST_S: Final = 0.8


class Pace:
    """The growth per second of a number that is observed from time to time.

    It is measured from the first number above 0 on: what is done before that, such as reading a
    video, would make its painting seem slow.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def see(self, at_s: float, figure: float) -> None:
        """Note the number at a time; times must increase."""
        if figure <= 0:
            return
        self._seen.append((at_s, figure))
        while len(self._seen) > 2 and self._seen[1][0] < at_s - _WINDOW_S:  # noqa: PLR2004 - the first and the last
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """The growth per second; None until it is known."""
        if not self._seen:
            return None
        (begin, low), (end, high) = self._seen[0], self._seen[-1]
        if end - begin < _LEAST_S or high <= low:
            return None
        return (high - low) / (end - begin)
