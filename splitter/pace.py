"""Keeps a split in step with the painting, so that no job fills the hub with all of its chunks.

A split goes ahead of the stylizers by a window of chunks: wide enough to fill a large pool, small
enough that the chunks of other jobs come in between. Pacing is fairness and never blocks for good:
a window that does not move, since chunks were lost or nobody paints, lets one chunk after another
through, each after a while.
"""

from __future__ import annotations

import asyncio

from splitter.metrics import SplitterMetrics


class Pace:
    """Counts one job's chunks on their way. No I/O: `heard` is told what the job's record says."""

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

    def heard(self, painted: int) -> None:
        """Learn how many of the job's chunks are painted; a restarted assembler counts anew."""
        if painted > self._painted:
            self._change(painted=painted)
            self._moved.set()

    async def ship(self) -> None:
        """Wait until the next chunk may be shipped, and count it."""
        with self._metrics.waiting():
            while self.outstanding >= self._window:
                self._moved.clear()
                try:
                    async with asyncio.timeout(self._patience_s):
                        await self._moved.wait()
                except TimeoutError:
                    break
        self._change(shipped=self._shipped + 1)

    def end(self) -> None:
        """Count none of the job's chunks as outstanding any more: its split is over."""
        self._change(painted=max(self._painted, self._shipped))

    def _change(self, *, shipped: int | None = None, painted: int | None = None) -> None:
        before = self.outstanding
        self._shipped = self._shipped if shipped is None else shipped
        self._painted = self._painted if painted is None else painted
        self._metrics.outstanding(self.outstanding - before)
