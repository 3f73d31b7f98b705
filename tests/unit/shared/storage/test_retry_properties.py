"""The retry policy against a model of it, for any series of failures."""

from __future__ import annotations

import asyncio
from typing import Literal
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from shared.contracts.errors import PermanentError, TransientError
from shared.storage.retry import Retry
from shared.telemetry.metrics import WorkMetrics

Failure = Literal["away", "refused", "unforeseen"]
FAILURES = st.lists(st.sampled_from(["away", "away", "unforeseen", "refused"]), max_size=30)
LONGEST_PAUSE_S = 30.0


class Refused(PermanentError):
    """What no try can change."""


class Unforeseen(Exception):
    """What nobody has thought of."""


def error(failure: Failure) -> Exception:
    match failure:
        case "away":
            return TransientError("away")
        case "refused":
            return Refused("CODE", "no")
        case "unforeseen":
            return Unforeseen("what is this")


def expected(failures: list[Failure], attempts: int) -> tuple[str, int]:
    """Return how the work ends and how often it is called."""
    left = attempts
    for calls, failure in enumerate(failures, start=1):
        left -= failure == "unforeseen"
        if failure == "refused" or not left:
            return failure, calls
    return "done", len(failures) + 1


def run(failures: list[Failure], attempts: int) -> tuple[str, int, list[float], float | None]:
    """Return how it ended, the calls, the pauses in seconds and the retries that were counted."""
    registry = CollectorRegistry()
    retry = Retry(WorkMetrics(registry, "test"))
    coming = iter(failures)
    calls = 0
    pauses: list[float] = []

    async def work() -> str:
        nonlocal calls
        calls += 1
        for failure in coming:
            raise error(failure)
        return "done"

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def end() -> str:
        try:
            return await retry(work, attempts=attempts)
        except Refused:
            return "refused"
        except Unforeseen:
            return "unforeseen"

    with patch("asyncio.sleep", pause):
        ended = asyncio.run(end())
    return ended, calls, pauses, registry.get_sample_value("test_retries_total")


@given(failures=FAILURES, attempts=st.integers(1, 5))
def test_work_ends_as_its_failures_demand(failures: list[Failure], attempts: int) -> None:
    ended, calls, _, _ = run(failures, attempts)
    assert (ended, calls) == expected(failures, attempts)


@given(failures=FAILURES, attempts=st.integers(1, 5))
def test_every_try_but_the_first_comes_after_one_pause_and_is_counted(
    failures: list[Failure], attempts: int
) -> None:
    _, calls, pauses, counted = run(failures, attempts)
    assert len(pauses) == counted == calls - 1


@given(away=st.integers(1, 40))
def test_pauses_grow_with_jitter_and_never_beyond_the_cap(away: int) -> None:
    _, _, pauses, _ = run(["away"] * away, 3)
    for number, seconds in enumerate(pauses):
        assert 0 <= seconds <= min(LONGEST_PAUSE_S, 0.5 * 2**number)
    if away > 10:
        assert len(set(pauses[6:])) > 1, "nobody waits as long as everybody else"
