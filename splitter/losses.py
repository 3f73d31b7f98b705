"""Tells the events that others have by now from those that nobody else will ever get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable


class Losses:
    """Counts how often each partition was lost to another splitter.

    What is in hand of a partition that was lost comes again to whoever has it now, unless the hub
    was made anew: ``settle`` finds that out.
    """

    def __init__(self, settle: Callable[[], Awaitable[object]]) -> None:
        self._settle = settle
        self._count: Counter[str] = Counter()
        self._forgiven: Counter[str] = Counter()
        self._unsettled = False

    def note(self, partition_id: str) -> None:
        """Note that a partition is no longer ours."""
        self._count[partition_id] += 1
        self._unsettled = True

    def settled(self, anew: bool) -> None:
        """Learn whether the hub is another: what was lost before comes to nobody then."""
        if anew:
            self._forgiven = self._count.copy()
        self._unsettled = False

    def of(self, partition_id: str) -> int:
        """Return how often a partition has been lost."""
        return self._count[partition_id]

    async def since(self, partition_id: str, before: int) -> bool:
        """Whether others have what came of a partition when it had been lost ``before`` times.

        Raises:
            TransientError: the hub or storage is away.
        """
        if self._unsettled and self._count[partition_id] > before:
            await self._settle()
        return self._count[partition_id] > max(before, self._forgiven[partition_id])
