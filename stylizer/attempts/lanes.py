"""Lanes: how many chunks are painted at once, each by one thread that runs to its end.

A thread cannot be stopped from outside, so a lane that exceeds its deadline costs the process: its
chunk is given back, the service drains, and the process that replaces it tries that chunk in
isolation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from shared.hubs.workers import GivenBack
from shared.service.health import Health

T = TypeVar("T")


class Lanes:
    """Runs at most ``count`` pieces of work at once, and only as many as fit into ``memory`` bytes.

    A single piece runs however much it needs. Pieces start in the order in which they arrive, so
    that small ones do not overtake a large one again and again.

    After `drain` nothing new is admitted: a stylizer that shuts down finishes the chunks that it is
    painting, but not those that wait.
    """

    def __init__(self, count: int, deadline_s: float, health: Health, memory: float) -> None:
        self._count = count
        self._memory = memory
        self._held: list[int] = []
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="lane")
        self._deadline_s = deadline_s
        self._health = health
        self._draining = False

    def drain(self) -> None:
        """Stop admitting work."""
        self._draining = True

    def check(self) -> None:
        """Raise unless work is admitted.

        Raises:
            GivenBack: the service is shutting down.
        """
        if self._draining:
            raise GivenBack("the service is shutting down")

    @asynccontextmanager
    async def free(self, needed: int = 0) -> AsyncIterator[None]:
        """Wait for a free lane and ``needed`` bytes, and hold both.

        Raises:
            GivenBack: the service is shutting down.
        """
        async with self._turn:
            while not self._fits(needed):
                self._freed.clear()
                await self._freed.wait()
            self._held.append(needed)
        try:
            self.check()
            yield
        finally:
            self._held.remove(needed)
            self._freed.set()

    def _fits(self, needed: int) -> bool:
        if not self._held:
            return True
        return len(self._held) < self._count and sum(self._held) + needed <= self._memory

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the lane's thread.

        Raises:
            GivenBack: the work exceeded the deadline; the service has failed.
        """
        thread = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done, _ = await asyncio.wait({thread}, timeout=self._deadline_s)
        if not done:
            self._draining = True
            self._health.fail(f"painting a chunk takes more than {self._deadline_s:g} s")
            raise GivenBack("its painting hangs")
        return thread.result()
