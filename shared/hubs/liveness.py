"""Tells a consumer that has nothing to read from one that has gone deaf. Pure, no I/O.

A receive loop can die, or its connection without a word, and the SDK goes on calling back with
nothing in hand. So silence alone proves nothing: whoever is silent for long has to be compared with
the hub. If events lie there that never came, the client is deaf, and only a new one helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Verdict = Literal["alive", "rebuild", "hopeless"]


class Liveness:
    """Collects a consumer's signs of life and judges its silences.

    ``patience_s`` is how long nothing may come before the hub is asked. A consumer that was rebuilt
    ``rebuilds`` times and has heard nothing since is hopeless.
    """

    def __init__(self, patience_s: float, rebuilds: int, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._rebuilds_left = self._rebuilds = rebuilds
        self._clock = clock
        self._last = clock()
        self._busy = 0

    @contextmanager
    def events(self) -> Iterator[None]:
        """Note events; while they are taken up, silence is our own doing (back-pressure)."""
        self._rebuilds_left = self._rebuilds
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._last = self._clock()

    def restart(self) -> None:
        """Begin to count anew: the hub was away, or partitions came or went."""
        self._last = self._clock()

    @property
    def silent(self) -> bool:
        """Whether nothing has come for so long that the hub should be asked."""
        return not self._busy and self._clock() - self._last >= self._patience_s

    def judge(self, *, behind: bool) -> Verdict:
        """Say what a silence calls for; ``behind`` is whether events lie in the hub unread.

        Every rebuild that it asks for is counted.
        """
        self.restart()
        if not behind:
            return "alive"
        if self._rebuilds_left == 0:
            return "hopeless"
        self._rebuilds_left -= 1
        return "rebuild"
