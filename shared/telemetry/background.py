"""Periodic work that a service does beside its events, and that never ends unnoticed.

A task that dies does so silently: checkpoints are no longer written, jobs are no longer checked,
and the service seems healthy. So all such work runs in rounds: one that fails is logged and
counted, and the next one follows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
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
"""The work that is done in rounds; the label of a metric."""


def is_cancelled() -> bool:
    """Return whether this task was ever cancelled, even if the cancellation was swallowed.

    The Event Hubs SDK waits with ``asyncio.wait_for``, which swallows a cancellation that arrives
    together with the result (Python before 3.12, python/cpython#86296). A loop around such calls
    would run forever, and so would whatever cancelled it and awaits its end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event is set, as soon as it is, and after ``seconds`` at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def first_of(*waits: Coroutine[None, None, object]) -> None:
    """Wait until one of several waits is over, and cancel the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def in_rounds(
    errand: Errand,
    every_s: float,
    work: Callable[[], Awaitable[object]],
    failed: Callable[[Errand], None],
    *,
    until: asyncio.Event | None = None,
) -> None:
    """Await ``work`` every ``every_s`` seconds, even if rounds fail.

    If ``until`` is set during a round, returns after it; if during a pause, after one more round.
    ``failed`` is called for every round that raises; ``work`` handles the errors that it foresees.
    """
    leaving = until or asyncio.Event()
    while not leaving.is_set() and not is_cancelled():
        await is_set_within(leaving, every_s)
        try:
            await work()
        except Exception as error:  # unforeseen: the next round may succeed
            failed(errand)
            log.error("background work failed", errand=errand, exc_info=error)
