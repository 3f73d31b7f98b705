"""Background work: rounds that continue after a failed one, and that end when they should."""

from __future__ import annotations

import asyncio
import contextlib

from shared.tasks.rounds import in_rounds


async def test_rounds_end_though_the_work_swallowed_their_cancellation() -> None:
    working, failures = asyncio.Event(), list[str]()

    async def work() -> None:
        working.set()
        # As the Event Hubs SDK does, with Python before 3.12
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    rounds = asyncio.create_task(in_rounds("jobs", 0.0, work, failures.append))
    await working.wait()
    rounds.cancel()
    done, _ = await asyncio.wait({rounds}, timeout=60)
    assert done == {rounds}
    assert failures == []


async def test_a_round_that_fails_is_counted_and_followed_by_the_next() -> None:
    leaving, failures, rounds = asyncio.Event(), list[str](), list[int]()

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise ValueError
        leaving.set()

    await asyncio.wait_for(in_rounds("jobs", 0.0, work, failures.append, until=leaving), 60)
    assert rounds == [0, 1]
    assert failures == ["jobs"]
