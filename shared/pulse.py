"""Tells a consumer that is idle from one that went silent. Pure, no I/O.

The SDK calls back for every partition it owns at least every few seconds, with or without events.
When that stops although the hub answers, the receive loop is dead, a known fault of long-lived
links, and only a new client helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Verdict = Literal["alive", "rebuild", "hopeless"]


class Pulse:
    """Collects a consumer's signs of life and judges its silences.

    ``patience_s`` is how long it may be silent while it owns partitions; owning none, it may be
    waiting for others to leave, and is only rebuilt after ten times as long. A client that was
    rebuilt ``rebuilds`` times without any callback since is hopeless.
    """

    def __init__(self, patience_s: float, rebuilds: int, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._rebuilds_left = self._rebuilds = rebuilds
        self._clock = clock
        self._last = clock()
        self._busy = 0
        self._owned = 0

    def owns(self, partitions: int) -> None:
        """Note how many partitions there are to hear from."""
        self._owned = partitions
        self._last = self._clock()

    @contextmanager
    def callback(self) -> Iterator[None]:
        """Note a callback; while it lasts, silence is our own doing (back-pressure)."""
        self._rebuilds_left = self._rebuilds
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._last = self._clock()

    def restart(self) -> None:
        """Begin to count anew: the hub was away, or the client is a new one."""
        self._last = self._clock()

    def judge(self) -> Verdict:
        """Say what the present silence calls for; every rebuild it asks for is counted."""
        patience_s = self._patience_s if self._owned else 10 * self._patience_s
        if self._busy or self._clock() - self._last < patience_s:
            return "alive"
        if self._owned and self._rebuilds_left == 0:
            return "hopeless"
        self._rebuilds_left = max(0, self._rebuilds_left - 1)
        return "rebuild"
