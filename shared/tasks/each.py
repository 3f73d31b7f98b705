"""Work on many things at once, of which one that is broken does not keep the others from theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog

from shared.contracts.errors import PermanentError

T = TypeVar("T")
R = TypeVar("R")

log = structlog.get_logger()


async def for_each(work: Callable[[T], Awaitable[R]], things: Iterable[T]) -> list[R]:
    """Do ``work`` for all things at once, and return its results without the permanent failures.

    These are logged. Any other error is raised when the work has ended for all things.
    """
    ends = await asyncio.gather(*map(work, things), return_exceptions=True)
    results = list[R]()
    errors = list[BaseException]()
    for end in ends:
        if isinstance(end, PermanentError):
            log.warning("left out what cannot be worked on", code=end.code, error=end.message)
        elif isinstance(end, BaseException):
            errors.append(end)
        else:
            results.append(end)
    if errors:
        raise errors[0]
    return results
