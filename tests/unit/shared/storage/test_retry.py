"""The retry policy: transient failures forever, permanent never, unexpected a few times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from shared.contracts.errors import DoubtfulError, PermanentError, TransientError
from shared.storage.retry import DOUBT_S, Retry
from shared.telemetry.metrics import WorkMetrics


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have no pause take time; return those that there would have been."""

    async def at_once(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    pauses: list[float] = []
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", at_once)
    return pauses


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def retry(registry: CollectorRegistry) -> Retry:
    return Retry(WorkMetrics(registry, "test"))


class Work:
    """Raises what it is given, one a call, then returns."""

    def __init__(self, *failures: Exception) -> None:
        self._failures: Iterator[Exception] = iter(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        for failure in self._failures:
            raise failure
        return "done"


async def test_a_result_is_returned_as_it_is(retry: Retry) -> None:
    work = Work()
    assert await retry(work) == "done"


async def test_a_dependency_that_is_unavailable_for_long_is_waited_for(
    retry: Retry, registry: CollectorRegistry
) -> None:
    work = Work(*(TransientError("away") for _ in range(40)))
    assert await retry(work, attempts=2) == "done"
    assert registry.get_sample_value("test_retries_total") == 40


async def test_a_permanent_failure_is_raised_at_once(retry: Retry) -> None:
    work = Work(PermanentError("CODE", "no"))
    with pytest.raises(PermanentError):
        await retry(work)
    assert work.calls == 1


async def test_a_failure_that_only_seems_permanent_is_believed_when_it_comes_again_for_long(
    retry: Retry, pauses: list[float]
) -> None:
    work = Work(*(DoubtfulError("CODE", "no") for _ in range(99)))
    with pytest.raises(PermanentError):
        await retry(work, attempts=3)
    assert work.calls >= 3
    assert sum(pauses[:-1]) < DOUBT_S <= sum(pauses)


async def test_a_failure_that_only_seems_permanent_for_a_moment_is_not_believed(
    retry: Retry, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All pauses happen to be short.
    monkeypatch.setattr(random, "uniform", lambda _low, high: high / 20)
    assert await retry(Work(*(DoubtfulError("CODE", "no") for _ in range(5)))) == "done"


async def test_an_unexpected_failure_is_tried_a_bounded_number_of_times(retry: Retry) -> None:
    work = Work(*(RuntimeError(str(number)) for number in range(9)))
    with pytest.raises(RuntimeError, match="2"):
        await retry(work, attempts=3)
    assert work.calls == 3


async def test_a_cancellation_is_not_tried_again(retry: Retry) -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await retry(work)


async def test_waiting_for_a_dependency_uses_up_no_tries_of_an_unexpected_failure(
    retry: Retry,
) -> None:
    away = [TransientError("away") for _ in range(5)]
    work = Work(*away, RuntimeError("once"))
    assert await retry(work, attempts=2) == "done"
