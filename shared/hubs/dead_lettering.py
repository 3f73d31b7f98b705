"""Stores the events that a service cannot process as dead letters, retrying until it succeeds.

An event must neither stop its partition nor be lost. One that storage does not accept as a dead
letter stays unfinished: it holds up only its partition's checkpoint, and is retried from time to
time. Meanwhile the service is not ready and says why.

An event of a newer release stays unfinished for a while, since that release may be about to take
over the partition. It becomes a dead letter if none does.

All of these wait in memory. Once there are too many, the service takes up no further events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from shared.contracts.errors import NewerMessageError
from shared.hubs.dead_letters import DeadLetters, code_of
from shared.hubs.delivery import Delivery
from shared.storage.retry import Retry
from shared.tasks.waits import is_set_within
from shared.telemetry.metrics import WorkMetrics

log = structlog.get_logger()

_DEPENDENCY: Final = "dead letters"
RETRY_INTERVAL_S: Final = 30.0
"""The pause between two rounds of attempts to store a dead letter."""
NEWER_RELEASE_GRACE_S: Final = 1800.0
"""How long a newer release may take to replace this one, including drains and cold nodes."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""The memory, within one event's, that may be taken by the events that wait here."""
EACH_BYTES: Final = 16 * 1024
"""What each takes beside its body: its error, its task and what is on their stacks."""


class DeadLettering:
    """Stores events in ``dead_letters``; ``report`` is called with a dependency and its problem."""

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
        self._unstored: set[Delivery] = set()
        self._waiting_bytes = 0
        self._freed = asyncio.Event()
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Give up on events that cannot be stored: the next owner receives them again."""
        self._draining.set()
        self._freed.set()

    async def wait_for_room(self) -> None:
        """Return once few enough events wait here for more to be taken up, or on `drain`."""
        await asyncio.sleep(0)  # lets the tasks of those just set aside begin, and be counted
        while self._waiting_bytes >= MOST_BYTES and not self._draining.is_set():
            self._freed.clear()
            await self._freed.wait()

    async def set_aside(self, delivery: Delivery, error: Exception) -> None:
        """Mark an event done once it is a dead letter; see `dead_letter`."""
        if await self.dead_letter(delivery, error):
            delivery.done()

    async def dead_letter(self, delivery: Delivery, error: Exception) -> bool:
        """Store an event as a dead letter; return whether that was done.

        It is not if the service drains first, or if an event of a newer release has meanwhile gone
        to another consumer.
        """
        takes = len(delivery.body) + EACH_BYTES
        self._waiting_bytes += takes
        try:
            return await self._dead_letter(delivery, error)
        finally:
            self._waiting_bytes -= takes
            self._freed.set()
            self._forget(delivery)

    async def _dead_letter(self, delivery: Delivery, error: Exception) -> bool:
        if isinstance(error, NewerMessageError):
            log.warning("event left for a newer release", error=error.message, **_place(delivery))
            drains = await is_set_within(self._draining, NEWER_RELEASE_GRACE_S)
            if drains or delivery.will_be_redelivered:
                return False
        code = code_of(error)
        log.error(
            "event moved to the dead letters",
            partition=delivery.partition_id,
            code=code,
            exc_info=error,
        )
        self._metrics.failed(code)
        self._metrics.dead_lettered(code)
        while not await self._try(delivery, error):
            if await is_set_within(self._draining, RETRY_INTERVAL_S):
                return False
        return True

    async def _try(self, delivery: Delivery, error: Exception) -> bool:
        try:
            # Without patience, because we have more, and say what we wait for.
            await self._retry(lambda: self._dead_letters.store(delivery, error), patience_s=0)
        except Exception as problem:
            log.error(
                "event cannot be moved to the dead letters", exc_info=problem, **_place(delivery)
            )
            self._unstored.add(delivery)
            self._report(_DEPENDENCY, f"an event cannot be moved to the dead letters: {problem}")
            return False
        return True

    def _forget(self, delivery: Delivery) -> None:
        if delivery in self._unstored:
            self._unstored.remove(delivery)
            if not self._unstored:
                self._report(_DEPENDENCY, None)


def _place(delivery: Delivery) -> dict[str, str | int]:
    return {"partition": delivery.partition_id, "sequence_number": delivery.sequence_number}
