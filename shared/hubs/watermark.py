"""The contiguous watermark: how far a checkpoint may go when work finishes out of order.

Pure bookkeeping, no I/O. A checkpoint says "everything up to here is finished", so it may only
follow the longest run of finished items from the start; one slow item holds it back, and after a
crash that item is delivered again (promise I1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Ticket(Generic[T]):
    """One item of work, from `Watermark.start` to `finish`."""

    __slots__ = ("_watermark", "finished", "item")

    def __init__(self, item: T, watermark: Watermark[T]) -> None:
        self.item = item
        self.finished = False
        self._watermark = watermark

    def finish(self) -> None:
        """Note that the item's effects are durable. Finishing twice changes nothing."""
        self.finished = True
        self._watermark.advance()


class Watermark(Generic[T]):
    """Tracks items that start in order and finish in any order; calls ``on_finish`` after each.

    >>> w = Watermark[str]()
    >>> a, b = w.start("a"), w.start("b")
    >>> b.finish(), w.take()
    (None, None)
    >>> a.finish(), w.take(), w.take()
    (None, 'b', None)
    """

    def __init__(self, on_finish: Callable[[], None] = lambda: None) -> None:
        self._on_finish = on_finish
        self._open: deque[Ticket[T]] = deque()
        self._reached: T | None = None

    def start(self, item: T) -> Ticket[T]:
        """Note that work on ``item`` begins, after all items started before."""
        ticket = Ticket(item, self)
        self._open.append(ticket)
        return ticket

    def advance(self) -> None:
        """Pass the finished items in front; called by every ticket that is finished."""
        while self._open and self._open[0].finished:
            self._reached = self._open.popleft().item
        self._on_finish()

    def take(self) -> T | None:
        """Return the last item of the finished run if the run grew since the last call."""
        reached, self._reached = self._reached, None
        return reached

    def put_back(self, item: T) -> None:
        """Undo a ``take`` whose checkpoint could not be written; a later advance wins."""
        if self._reached is None:
            self._reached = item

    @property
    def oldest(self) -> T | None:
        """The first unfinished item; None when all are finished."""
        return self._open[0].item if self._open else None

    @property
    def unfinished(self) -> int:
        """The number of items from the first unfinished one on."""
        return len(self._open)
