"""Lanes: how many chunks are painted at once, each by one thread that runs to its end.

A thread cannot be stopped from outside. A lane that does not come back in time therefore spoils its
process: the chunk in it is given back, the service drains, and the process that takes its place
tries that chunk in isolation.
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
    """Runs at most ``count`` pieces of work at once.

    After `drain` no lane is free for anything new: a stylizer that leaves ends with the chunks that
    it is painting, not with those that wait.
    """

    def __init__(self, count: int, deadline_s: float, health: Health) -> None:
        self._room = asyncio.Semaphore(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="lane")
        self._deadline_s = deadline_s
        self._health = health
        self._draining = False

    def drain(self) -> None:
        """Let nobody in any more."""
        self._draining = True

    @asynccontextmanager
    async def free(self) -> AsyncIterator[None]:
        """Wait for a free lane and hold it.

        Raises:
            GivenBack: the service is leaving.
        """
        async with self._room:
            if self._draining:
                raise GivenBack("the service is leaving")
            yield

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the lane's thread.

        Raises:
            GivenBack: it did not come back within the deadline; the service has failed.
        """
        thread = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done, _ = await asyncio.wait({thread}, timeout=self._deadline_s)
        if not done:
            self._draining = True
            self._health.fail(f"a chunk is being painted for more than {self._deadline_s:g} s")
            raise GivenBack("its painting hangs")
        return thread.result()
