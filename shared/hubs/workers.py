"""Works on a bounded number of deliveries at once, and buries those that are not ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from shared.contracts.errors import PermanentError, StylestreamError
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.storage.retry import Retry
from shared.telemetry import tracing
from shared.telemetry.metrics import WorkMetrics

log = structlog.get_logger()

_BURIALS: Final = "dead letters"
AGAIN_S: Final = 30.0
"""Between two rounds of tries to lay an event aside."""


class GivenBack(StylestreamError):
    """Work that its worker leaves to another: the event stays unfinished and comes again."""


class Workers:
    """Runs ``work`` for up to ``room`` deliveries at once and marks each done when it returns.

    ``work`` sees to its own retries. What it raises in the end, a `MessageError` for a delivery
    that cannot be understood or anything unforeseen, buries the delivery: no event may stop a
    partition. Only `GivenBack` leaves it unfinished. A delivery that cannot even be buried is tried
    again for as long as the service runs, which ``report`` is told: a dependency and its problem.
    """

    def __init__(
        self,
        room: int,
        work: Callable[[Delivery], Awaitable[None]],
        dead_letters: DeadLetters,
        metrics: WorkMetrics,
        report: Callable[[str, str | None], None],
    ) -> None:
        self._room = asyncio.Semaphore(room)
        self._work = work
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._in_hand: set[asyncio.Task[None]] = set()
        self._report = report
        self._unburied: set[Delivery] = set()
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Take up nothing more, not even what waits for room already."""
        self._draining.set()

    async def take(self, delivery: Delivery) -> None:
        """Take up a delivery; waits while there is no room."""
        await self._room.acquire()
        if self._draining.is_set():
            return
        task = asyncio.create_task(self._finish(delivery))
        self._in_hand.add(task)
        self._metrics.in_hand(+1)
        task.add_done_callback(self._release)

    async def finish(self) -> None:
        """Return when nothing is in hand any more."""
        while self._in_hand:
            await asyncio.wait(self._in_hand)

    async def _finish(self, delivery: Delivery) -> None:
        try:
            with tracing.processing(delivery.origin):
                await self._work(delivery)
        except GivenBack as reason:
            log.info("event given back", partition=delivery.partition_id, reason=str(reason))
            return
        except Exception as error:
            code = error.code if isinstance(error, PermanentError) else "UNFORESEEN"
            log.error("event buried", partition=delivery.partition_id, code=code, exc_info=error)
            self._metrics.failed(code)
            self._metrics.dead_lettered(code)
            if not await self._bury(delivery, error):
                return
        delivery.done()

    async def _bury(self, delivery: Delivery, error: Exception) -> bool:
        """Bury a delivery; return whether that was done before the service drains."""
        while True:
            try:
                await self._retry(lambda: self._dead_letters.bury(delivery, error))
            except Exception as problem:
                log.error(
                    "event cannot be buried",
                    partition=delivery.partition_id,
                    sequence_number=delivery.sequence_number,
                    exc_info=problem,
                )
                self._unburied.add(delivery)
                self._report(_BURIALS, f"an event cannot be laid aside: {problem}")
            else:
                self._forget(delivery)
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._draining.wait()
            if self._draining.is_set():
                self._forget(delivery)
                return False

    def _forget(self, delivery: Delivery) -> None:
        if delivery in self._unburied:
            self._unburied.remove(delivery)
            if not self._unburied:
                self._report(_BURIALS, None)

    def _release(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        self._room.release()
        self._metrics.in_hand(-1)
        if not task.cancelled() and (error := task.exception()):
            # It comes again after a restart.
            log.error("event left unfinished", exc_info=error)


class OneAtATime:
    """Lets the same piece of work be done by one task at a time.

    An event can come twice while the first is still in hand, after a reconnect above all. The
    second has to wait: were it waved through as a duplicate, a checkpoint could pass it while the
    first is unfinished (promise I1).
    """

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Hold the work called ``key``."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)
