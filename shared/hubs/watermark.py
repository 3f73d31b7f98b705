"""The contiguous watermark: how far a checkpoint may go when work finishes out of order.

Pure bookkeeping, no I/O. A checkpoint says "everything up to here is finished", so it may only
follow the longest run of finished items from the start; one slow item holds it back, and after a
crash that item is delivered again (promise I1).
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Ticket(Generic[T]):
    """One item of work between ``start`` and ``finish``."""

    __slots__ = ("finished", "item")

    def __init__(self, item: T) -> None:
        self.item = item
        self.finished = False


class Watermark(Generic[T]):
    """Tracks items that start in order and finish in any order.

    >>> w = Watermark[str]()
    >>> a, b = w.start("a"), w.start("b")
    >>> w.finish(b), w.take()
    (None, None)
    >>> w.finish(a), w.take(), w.take()
    (None, 'b', None)
    """

    def __init__(self) -> None:
        self._open: deque[Ticket[T]] = deque()
        self._reached: Ticket[T] | None = None

    def start(self, item: T) -> Ticket[T]:
        """Note that work on ``item`` begins, after all items started before."""
        ticket = Ticket(item)
        self._open.append(ticket)
        return ticket

    def finish(self, ticket: Ticket[T]) -> None:
        """Note that an item's effects are durable. Finishing twice changes nothing."""
        ticket.finished = True
        while self._open and self._open[0].finished:
            self._reached = self._open.popleft()

    def take(self) -> T | None:
        """Return the last item of the finished run if the run grew since the last call."""
        reached, self._reached = self._reached, None
        return reached.item if reached else None

    def put_back(self, item: T) -> None:
        """Undo a ``take`` whose checkpoint could not be written; a later advance wins."""
        if self._reached is None:
            self._reached = Ticket(item)

    @property
    def oldest(self) -> T | None:
        """The first unfinished item; None when all are finished."""
        return self._open[0].item if self._open else None

    @property
    def unfinished(self) -> int:
        """The number of items from the first unfinished one on."""
        return len(self._open)
