"""Lays aside the events that a service cannot process, for as long as that takes.

No event may stop a partition, and none may be lost: one that storage will not take as a dead letter
stays unfinished, in nobody's way but that of its partition's checkpoint, and is tried again from
time to time. Meanwhile the service is not ready and says why.

An event that a newer release has sent is no such event while that may be on its way in: it stays
unfinished, for whoever reads its partition next. It is laid aside where none comes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from shared.contracts.errors import NewerMessageError, PermanentError
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.storage.retry import Retry
from shared.telemetry.metrics import WorkMetrics

log = structlog.get_logger()

_DEPENDENCY: Final = "dead letters"
AGAIN_S: Final = 30.0
"""Between two rounds of tries to lay an event aside."""
NEWER_S: Final = 1800.0
"""So long a newer release may take to replace this one, drained pools and cold nodes included."""


class Burials:
    """Buries events in ``dead_letters``; ``report`` is told of a dependency and its problem."""

    def __init__(
        self,
        dead_letters: DeadLetters,
        metrics: WorkMetrics,
        report: Callable[[str, str | None], None],
    ) -> None:
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._retry = Retry(metrics)
        self._report = report
        self._unburied: set[Delivery] = set()
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Leave what cannot be laid aside to the next: its event comes again."""
        self._draining.set()

    async def bury(self, delivery: Delivery, error: Exception) -> bool:
        """Lay an event aside; return whether that was done.

        It is not when the service drains before, or a newer release has the event by then.
        """
        if isinstance(error, NewerMessageError):
            log.warning("event left to a newer release", error=error.message, **_place(delivery))
            if await self._drains_within(NEWER_S) or delivery.comes_again():
                return False
        code = error.code if isinstance(error, PermanentError) else "UNFORESEEN"
        log.error("event buried", partition=delivery.partition_id, code=code, exc_info=error)
        self._metrics.failed(code)
        self._metrics.dead_lettered(code)
        try:
            while not await self._try(delivery, error):
                if await self._drains_within(AGAIN_S):
                    return False
            return True
        finally:
            self._forget(delivery)

    async def _drains_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()
        return self._draining.is_set()

    async def _try(self, delivery: Delivery, error: Exception) -> bool:
        try:
            await self._retry(lambda: self._dead_letters.bury(delivery, error))
        except Exception as problem:
            log.error("event cannot be buried", exc_info=problem, **_place(delivery))
            self._unburied.add(delivery)
            self._report(_DEPENDENCY, f"an event cannot be laid aside: {problem}")
            return False
        return True

    def _forget(self, delivery: Delivery) -> None:
        if delivery in self._unburied:
            self._unburied.remove(delivery)
            if not self._unburied:
                self._report(_DEPENDENCY, None)


def _place(delivery: Delivery) -> dict[str, str | int]:
    return {"partition": delivery.partition_id, "sequence_number": delivery.sequence_number}
