"""Waits for an event or for the first of several things, and notices swallowed cancellations."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine


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
