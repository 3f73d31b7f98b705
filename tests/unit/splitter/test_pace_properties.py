"""A split's window, whatever is shipped, painted, forgotten and counted again."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from prometheus_client import CollectorRegistry

from splitter.metrics import SplitterMetrics
from splitter.pace import Pace

NEVER_S = 3600.0


class Splitting(RuleBasedStateMachine):
    """One job that ships all it may, and a record of its painting, right or not."""

    @initialize(window=st.integers(1, 8), chunks=st.integers(1, 40))
    def begin(self, window: int, chunks: int) -> None:
        """Start a split of ``chunks`` chunks."""
        self.loop = asyncio.new_event_loop()
        self.registry = CollectorRegistry()
        self.window, self.chunks = window, chunks
        self.shipped = self.painted = 0
        self.pace = Pace(window, NEVER_S, SplitterMetrics(self.registry))
        self.split = self.loop.create_task(self._split())
        self._settle()

    async def _split(self) -> None:
        while self.shipped < self.chunks:
            await self.pace.ship(asyncio.Event().wait)
            self.shipped += 1

    def _settle(self) -> None:
        """Let the split continue until it waits for the painting."""
        while True:
            before = self.shipped
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.run_until_complete(asyncio.sleep(0))
            if self.shipped == before:
                return

    @rule(more=st.integers(0, 10))
    def painting_goes_on(self, more: int) -> None:
        """Some of what was shipped is painted."""
        self.painted = min(self.shipped, self.painted + more)
        self.pace.update_painted(self.painted)
        self._settle()

    @rule(fewer=st.integers(1, 40))
    def the_assembler_counts_anew(self, fewer: int) -> None:
        """A restarted record shows less than the last one."""
        self.pace.update_painted(max(0, self.painted - fewer))
        self._settle()

    @invariant()
    def no_more_than_a_window_is_on_its_way(self) -> None:
        """The pool is given a window of chunks and no more."""
        if hasattr(self, "pace"):
            assert self.pace.outstanding == self.shipped - self.painted <= self.window

    @invariant()
    def nothing_waits_without_need(self) -> None:
        """While the window has room, chunks go out."""
        if hasattr(self, "pace"):
            assert self.shipped == min(self.chunks, self.painted + self.window)

    @invariant()
    def the_metric_tells_what_is_on_its_way(self) -> None:
        """The gauge that operators see is the window's filling."""
        if hasattr(self, "pace"):
            told = self.registry.get_sample_value("splitter_outstanding_chunks")
            assert told == self.pace.outstanding

    def teardown(self) -> None:
        """End the split, done or not."""
        if hasattr(self, "split"):
            self.split.cancel()
            self.loop.run_until_complete(asyncio.gather(self.split, return_exceptions=True))
            self.loop.close()


TestSplitting = Splitting.TestCase
TestSplitting.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
