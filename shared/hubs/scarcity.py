"""Patience with a machine that has run out of memory, threads or processes.

The work in hand is not the cause, and the shortage is mostly over soon: another process ends, or
the kernel kills one.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")

PATIENCE_S: Final = 15.0
NO_THREAD: Final = "can't start new thread"
"""What Python says when the machine has no thread left."""

_NOTHING_LEFT: Final = (errno.ENOMEM, errno.EAGAIN)


def is_scarcity(error: BaseException) -> bool:
    """Tell whether an error says that the machine is out of memory, threads or processes."""
    if isinstance(error, OSError):
        return error.errno in _NOTHING_LEFT
    return isinstance(error, MemoryError) or str(error) == NO_THREAD


async def retry_on_scarcity(work: Callable[[], Awaitable[T]]) -> T:
    """Await ``work``; if it fails for scarcity, await it once more after `PATIENCE_S`.

    Raises:
        Exception: from ``work``: its first error, or the second if the first was scarcity.
    """
    try:
        return await work()
    except Exception as error:
        if not is_scarcity(error):
            raise
        log.warning("out of memory or threads; retrying", error=f"{type(error).__name__}: {error}")
    await asyncio.sleep(PATIENCE_S)
    return await work()
