"""Works on a bounded number of deliveries at once; those that it cannot process are set aside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import structlog

from shared.contracts.errors import StylestreamError
from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.delivery import Delivery
from shared.hubs.scarcity import retry_on_scarcity
from shared.telemetry import tracing
from shared.telemetry.metrics import WorkMetrics

log = structlog.get_logger()


class GivenBack(StylestreamError):
    """Raised to leave work to another worker: the event stays unfinished and comes again."""


class Workers:
    """Runs ``work`` for up to ``room`` deliveries at once and marks each done when it returns.

    ``work`` does its own retries, except after the machine ran out of memory. What it raises in the
    end, a `MessageError` for a delivery that cannot be understood or anything unforeseen, makes it
    a dead letter, because no event may stop a partition. Only `GivenBack` leaves it unfinished.
    """

    def __init__(
        self,
        room: int,
        work: Callable[[Delivery], Awaitable[None]],
        dead_lettering: DeadLettering,
        metrics: WorkMetrics,
    ) -> None:
        self._room = asyncio.Semaphore(room)
        self._work = work
        self._dead_lettering = dead_lettering
        self._metrics = metrics
        self._in_hand: set[asyncio.Task[None]] = set()
        self._draining = False

    def drain(self) -> None:
        """Take up nothing more, not even deliveries that already wait for room."""
        self._draining = True
        self._dead_lettering.drain()

    async def take(self, delivery: Delivery) -> None:
        """Take up a delivery; waits while there is no room."""
        await self._dead_lettering.wait_for_room()
        await self._room.acquire()
        if self._draining:
            return
        self._metrics.in_hand(+1)
        self._put_in_hand(self._finish(delivery)).add_done_callback(self._release)

    async def finish(self) -> None:
        """Return once nothing is in hand."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)

    async def _finish(self, delivery: Delivery) -> None:
        try:
            with tracing.processing(delivery.origin):
                await retry_on_scarcity(lambda: self._work(delivery))
        except GivenBack as reason:
            log.info("event released", partition=delivery.partition_id, reason=str(reason))
            return
        except Exception as error:
            # This may take long, and must not occupy room.
            self._put_in_hand(self._dead_lettering.set_aside(delivery, error))
        else:
            delivery.done()

    def _put_in_hand(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._in_hand.add(task)
        task.add_done_callback(self._forget)
        return task

    def _release(self, _task: asyncio.Task[None]) -> None:
        self._room.release()
        self._metrics.in_hand(-1)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # It comes again after a restart.
            log.error("event left unfinished", exc_info=error)


class OneAtATime:
    """Lets only one task at a time do the same piece of work.

    An event can come twice while the first is still in hand, mostly after a reconnect. The second
    must wait: if it were marked done as a duplicate, a checkpoint could pass it while the first is
    unfinished (promise I1).
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of the work called ``key``."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
