"""Distinguishes a consumer with nothing to read from one that stopped receiving. Pure, no I/O.

A receive loop or its connection can die silently, while the SDK goes on calling back without
events. So silence alone proves nothing: after a long one, the consumer is compared with the hub. If
that holds events that never came, the client has stopped receiving, and only a new one helps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Verdict = Literal["alive", "rebuild", "unrecoverable"]


class Liveness:
    """Records when events come to a consumer, and judges its silences.

    ``patience_s`` is how long a silence may last before the hub is asked. A consumer that was
    rebuilt ``rebuilds`` times and has received nothing since is unrecoverable.
    """

    def __init__(self, patience_s: float, rebuilds: int, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._rebuilds_left = self._rebuilds = rebuilds
        self._clock = clock
        self._last = clock()
        self._busy = 0

    @contextmanager
    def events(self) -> Iterator[None]:
        """Note events; while they are taken up, a silence is our own doing (back-pressure)."""
        self._rebuilds_left = self._rebuilds
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._last = self._clock()

    def restart(self) -> None:
        """Restart the clock: the hub was unavailable, or partitions came or went."""
        self._last = self._clock()

    @property
    def silent(self) -> bool:
        """Whether nothing has come for so long that the hub should be asked."""
        return not self._busy and self._clock() - self._last >= self._patience_s

    def judge(self, *, behind: bool) -> Verdict:
        """Say what a silence calls for; ``behind`` is whether the hub holds unread events.

        Every rebuild that it calls for is counted.
        """
        self.restart()
        if not behind:
            return "alive"
        if self._rebuilds_left == 0:
            return "unrecoverable"
        self._rebuilds_left -= 1
        return "rebuild"
