"""The one retry policy: capped exponential pauses with jitter.

A `TransientError` is tried again for ever, since the dependency will come back and the event must not
be lost. A `PermanentError` is never tried again. Anything unexpected gets a bounded number of tries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from shared.errors import PermanentError, TransientError

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0


async def retrying(
    work: Callable[[], Awaitable[T]],
    *,
    attempts: int = 3,
    on_retry: Callable[[BaseException], None],
) -> T:
    """Await ``work`` until it succeeds; ``on_retry`` is told of each failure that is tried again.

    Raises:
        PermanentError: from ``work``, at once.
        Exception: what ``work`` raised at its last try, when it is not transient.
    """

    def exhausted(state: RetryCallState) -> bool:
        return not isinstance(_error(state), TransientError) and state.attempt_number >= attempts

    policy = AsyncRetrying(
        retry=retry_if_exception(_worth_another_try),
        stop=exhausted,
        wait=wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
        before_sleep=lambda state: on_retry(_error(state)),
        reraise=True,
    )
    return await policy(work)


def _worth_another_try(error: BaseException) -> bool:
    return isinstance(error, Exception) and not isinstance(error, PermanentError)


def _error(state: RetryCallState) -> BaseException:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert error is not None
    return error
