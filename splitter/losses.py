"""Distinguish events that passed to another splitter from those that are not delivered again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable


class Losses:
    """Counts how often each partition was lost to another splitter.

    Events in hand when their partition is lost are delivered again to its new owner, unless the
    hub was recreated; ``settle`` finds that out.
    """

    def __init__(self, settle: Callable[[], Awaitable[object]]) -> None:
        self._settle = settle
        self._count: Counter[str] = Counter()
        self._forgiven: Counter[str] = Counter()
        self._unsettled = False

    def note(self, partition_id: str) -> None:
        """Record that a partition is no longer ours."""
        self._count[partition_id] += 1
        self._unsettled = True

    def settled(self, anew: bool) -> None:
        """Record whether the hub was recreated: earlier events are then not delivered again."""
        if anew:
            self._forgiven = self._count.copy()
        self._unsettled = False

    def of(self, partition_id: str) -> int:
        """Return how often a partition has been lost."""
        return self._count[partition_id]

    async def since(self, partition_id: str, before: int) -> bool:
        """Return whether an event that came after ``before`` losses is another splitter's by now.

        Raises:
            TransientError: the hub or storage is unavailable.
        """
        if self._unsettled and self._count[partition_id] > before:
            await self._settle()
        return self._count[partition_id] > max(before, self._forgiven[partition_id])
