"""Lays aside the events that a service cannot process, for as long as that takes.

No event may stop a partition, and none may be lost: one that storage will not take as a dead letter
stays unfinished, in nobody's way but that of its partition's checkpoint, and is tried again from
time to time. Meanwhile the service is not ready and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog

from shared.contracts.errors import PermanentError
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery
from shared.storage.retry import Retry
from shared.telemetry.metrics import WorkMetrics

log = structlog.get_logger()

_DEPENDENCY: Final = "dead letters"
AGAIN_S: Final = 30.0
"""Between two rounds of tries to lay an event aside."""


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
        """Lay an event aside; return whether that was done before the service drains."""
        code = error.code if isinstance(error, PermanentError) else "UNFORESEEN"
        log.error("event buried", partition=delivery.partition_id, code=code, exc_info=error)
        self._metrics.failed(code)
        self._metrics.dead_lettered(code)
        try:
            while not await self._try(delivery, error):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AGAIN_S):
                        await self._draining.wait()
                if self._draining.is_set():
                    return False
            return True
        finally:
            self._forget(delivery)

    async def _try(self, delivery: Delivery, error: Exception) -> bool:
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
            self._report(_DEPENDENCY, f"an event cannot be laid aside: {problem}")
            return False
        return True

    def _forget(self, delivery: Delivery) -> None:
        if delivery in self._unburied:
            self._unburied.remove(delivery)
            if not self._unburied:
                self._report(_DEPENDENCY, None)
