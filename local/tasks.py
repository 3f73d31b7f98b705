"""Waiting for several tasks, and cancelling one."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

_RETRY_S: Final = 1.0


async def together(*starts: Awaitable[None]) -> None:
    """Await all; the first failure cancels the others and is raised alone."""
    tasks = [asyncio.ensure_future(start) for start in starts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def cancel(task: asyncio.Task[None]) -> None:
    """End a task and wait until it has ended.

    It is cancelled as often as it takes: before Python 3.12, ``asyncio.wait_for``, which the Event
    Hubs SDK relies on, can lose a cancellation.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_RETRY_S)
    if not task.cancelled():
        task.exception()  # otherwise asyncio logs that it was never retrieved


@contextmanager
def cancelled_by_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that closes, cancel the current task.

    Only the main thread receives signals; in another, and within another such context, this does
    nothing.
    """
    current, loop = asyncio.current_task(), asyncio.get_running_loop()
    with ExitStack() as closing:
        if current is not None and threading.current_thread() is threading.main_thread():
            for received in (signal.SIGTERM, signal.SIGHUP):
                # Under nohup, which ignores it, a closed terminal must not end anything.
                if signal.getsignal(received) is signal.SIG_DFL:
                    loop.add_signal_handler(received, _end, loop, received, current)
                    closing.callback(loop.remove_signal_handler, received)
        yield


def _end(
    loop: asyncio.AbstractEventLoop, received: signal.Signals, task: asyncio.Task[object]
) -> None:
    loop.remove_signal_handler(received)
    task.cancel()
