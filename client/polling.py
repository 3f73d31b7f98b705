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

_SHARE_OF_AGE: Final = 1 / 8


async def polled(
    ask: Callable[[], Awaitable[T]], pause_s: float, first_pause_s: float | None = None
) -> AsyncIterator[T]:
    """Yield what ``ask`` returns, every ``pause_s`` seconds and without end.

    With ``first_pause_s``, pauses begin with that and grow, because something that is new changes
    more often.

    Outages are waited out, except at the beginning, where they are more likely to be a mistake.

    Raises:
        TransientError: storage cannot be reached at first, or not for `OUTAGE_S`.
        DeniedError: it refuses the credentials.
    """
    answered, began = -math.inf, time.monotonic()
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
        growing_s = max(first_pause_s or pause_s, _SHARE_OF_AGE * (time.monotonic() - began))
        await asyncio.sleep(min(pause_s, growing_s))
