"""Asks storage again and again, through its outages."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from shared.contracts.errors import DeniedError, TransientError

T = TypeVar("T")

OUTAGE_S: Final = 600.0
"""So long an outage is waited out."""


async def polled(ask: Callable[[], Awaitable[T]], pause_s: float) -> AsyncIterator[T]:
    """Yield what ``ask`` returns, every ``pause_s`` seconds and without end.

    Outages are waited out, except at the beginning, where they are more likely to be a mistake.

    Raises:
        TransientError: storage cannot be reached at first, or not for `OUTAGE_S`.
        DeniedError: it refuses the credentials.
    """
    answered = -math.inf
    while True:
        try:
            answer = await ask()
        except DeniedError:
            raise
        except TransientError:
            if time.monotonic() - answered > OUTAGE_S:
                raise
        else:
            answered = time.monotonic()
            yield answer
        await asyncio.sleep(pause_s)
