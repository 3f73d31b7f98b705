"""The one retry policy: capped exponential backoff with jitter.

A `TransientError` is retried forever, since the dependency will come back and the event must not be
lost, unless the caller sets a limit. A `PermanentError` is never retried. Anything unexpected gets
a limited number of attempts. So does a `DoubtfulError`, which must also persist for some seconds.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from shared.contracts.errors import DoubtfulError, PermanentError, TransientError
from shared.telemetry.metrics import ServiceMetrics

log = structlog.get_logger()
T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
DOUBT_S: Final = 10.0
"""The least total backoff, in seconds, before a `DoubtfulError` counts as permanent."""


class Retry:
    """The policy; it counts every retry in a service's metrics."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self._metrics = metrics

    async def __call__(
        self, work: Callable[[], Awaitable[T]], *, attempts: int = 3, patience_s: float = math.inf
    ) -> T:
        """Await ``work`` until it succeeds.

        Raises:
            TransientError: from ``work``, at its first failure after ``patience_s``.
            PermanentError: from ``work``, at once; a `DoubtfulError` at its last attempt.
            Exception: anything else from ``work``, at the last of its ``attempts``.
        """
        unforeseen = 0

        def exhausted(state: RetryCallState) -> bool:
            nonlocal unforeseen
            if isinstance(_error(state), TransientError):
                return (state.seconds_since_start or 0.0) >= patience_s
            unforeseen += 1
            doubted = not isinstance(_error(state), DoubtfulError) or state.idle_for >= DOUBT_S
            return unforeseen >= attempts and doubted

        policy = AsyncRetrying(
            retry=retry_if_exception(_worth_another_try),
            stop=exhausted,
            wait=wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_LONGEST_PAUSE_S),
            before_sleep=self._note,
            reraise=True,
        )
        async for attempt in policy:
            with attempt:
                return await work()
        raise AssertionError("the policy returns or raises")

    def _note(self, state: RetryCallState) -> None:
        error = _error(state)
        self._metrics.retried()
        log.warning(
            "retrying",
            attempt=state.attempt_number,
            error=f"{type(error).__name__}: {error}",
        )


def _worth_another_try(error: BaseException) -> bool:
    final = isinstance(error, PermanentError) and not isinstance(error, DoubtfulError)
    return isinstance(error, Exception) and not final


def _error(state: RetryCallState) -> BaseException:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert error is not None
    return error
