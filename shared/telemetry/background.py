"""Work that a service does again and again beside its events, and that never ends unnoticed.

A task that dies takes its errand with it and says nothing: checkpoints are no longer written, jobs
no longer looked after, and the service seems well. So there is one way to run such work: in rounds,
each of which may fail, is told when it does, and is followed by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

log = structlog.get_logger()

Errand = Literal[
    "checkpoints",
    "silence",
    "positions",
    "probes",
    "jobs",
    "lingering",
    "recalls",
    "uploads",
    "connections",
]
"""What is done in rounds; the label of a metric."""


def is_cancelled() -> bool:
    """Return whether this task was ever cancelled, even if nobody felt it.

    The Event Hubs SDK waits with ``asyncio.wait_for``, which swallows a cancellation that comes
    together with what it waits for (Python before 3.12, python/cpython#86296). A loop around such
    calls would go on forever, and whoever cancelled it would wait as long.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def in_rounds(
    errand: Errand,
    every_s: float,
    work: Callable[[], Awaitable[object]],
    failed: Callable[[Errand], None],
    *,
    until: asyncio.Event | None = None,
) -> None:
    """Await ``work`` every ``every_s`` seconds, whatever becomes of a round.

    Returns after ``until`` is set, if it is given, with the round in hand finished. ``failed``
    hears of every round that raised; ``work`` itself sees to errors that it foresees.
    """
    leaving = until or asyncio.Event()
    while not leaving.is_set() and not is_cancelled():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await leaving.wait()
        try:
            await work()
        except Exception as error:  # unforeseen: the next round may fare better
            failed(errand)
            log.error("a round of background work failed", errand=errand, exc_info=error)
