"""The clock of the simulation, and its queue of events in order of time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Agenda:
    """Calls functions at their times; those due at the same time in the order they were added."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        """Call ``do`` after ``delay_s``."""
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._order), do))

    def run(self) -> None:
        """Call everything, including what is added meanwhile, until nothing is left."""
        while self._due:
            self.now_s, _, do = heapq.heappop(self._due)
            do()
