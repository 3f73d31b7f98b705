"""The clock of the simulation: what is to happen, in order of time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Agenda:
    """Does things at their times; what is due at the same time, in the order it was noted."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        """Note what is to be done when ``delay_s`` have passed."""
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._order), do))

    def run(self) -> None:
        """Do everything, and what that leads to, until nothing is left to do."""
        while self._due:
            self.now_s, _, do = heapq.heappop(self._due)
            do()
