"""Keep a split in step with the painting, so that no job fills the hub with all of its chunks.

A split may be ahead of the stylizers by a window of chunks: wide enough to keep a large pool busy,
narrow enough for the chunks of other jobs to come in between. Pacing is for fairness and never
blocks for good: while the window does not move, because chunks were lost or nobody paints, one
chunk after another is let through, each after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Literal

from shared.tasks.waits import is_set_within
from splitter.metrics import SplitterMetrics

# A split that left its slot decodes from the beginning again: too much work for a single chunk.
_PATIENCE_AWAY: Final = 10


class Pace:
    """Counts one job's outstanding chunks. No I/O: `update_painted` takes the record's count."""

    def __init__(self, window: int, patience_s: float, metrics: SplitterMetrics) -> None:
        self._window = window
        self._patience_s = patience_s
        self._metrics = metrics
        self._shipped = 0
        self._painted = 0
        self._moved = asyncio.Event()

    @property
    def outstanding(self) -> int:
        """Chunks shipped and not known to be painted."""
        return max(0, self._shipped - self._painted)

    @property
    def full(self) -> bool:
        """Whether the next chunk has to wait."""
        return self.outstanding >= self._window

    def update_painted(self, painted: int) -> None:
        """Update how many chunks are painted; a lower count, after a restart, is ignored."""
        if painted > self._painted:
            self._change(painted=painted)
            self._moved.set()

    async def ship(self, called: Callable[[], Coroutine[None, None, object]]) -> bool:
        """Wait until the next chunk may be shipped, and count it.

        Returns:
            False if ``called`` returned first: nothing was counted.
        """
        with self._metrics.waiting():
            while self.full:
                self._moved.clear()
                match await self._next(called):
                    case "called":
                        return False
                    case "patience":
                        break
                    case "moved":
                        continue
        self._change(shipped=self._shipped + 1)
        return True

    async def reopen(self) -> None:
        """Wait until half of the window is free, or nothing was painted for too long."""
        while 2 * self.outstanding > self._window:
            self._moved.clear()
            if not await is_set_within(self._moved, _PATIENCE_AWAY * self._patience_s):
                return

    def end(self) -> None:
        """Count none of the job's chunks as outstanding any more: its split is over."""
        self._change(painted=max(self._painted, self._shipped))

    async def _next(
        self, called: Callable[[], Coroutine[None, None, object]]
    ) -> Literal["moved", "called", "patience"]:
        """Return what happens first: a chunk is painted, a call, or the timeout."""
        moves = asyncio.create_task(is_set_within(self._moved, self._patience_s))
        call = asyncio.create_task(called())
        try:
            await asyncio.wait({call, moves}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return "called"
            return "moved" if moves.result() else "patience"
        finally:
            call.cancel()
            moves.cancel()

    def _change(self, *, shipped: int | None = None, painted: int | None = None) -> None:
        before = self.outstanding
        self._shipped = self._shipped if shipped is None else shipped
        self._painted = self._painted if painted is None else painted
        self._metrics.outstanding(self.outstanding - before)
