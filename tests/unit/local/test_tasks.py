"""Cancelling tasks, including those that lose a cancellation."""

from __future__ import annotations

import asyncio

import pytest

from local import tasks


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_a_task_ends_however_many_cancellations_it_loses(
    lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_RETRY_S", 0.01)
    seen = 0

    async def forgetful() -> None:
        nonlocal seen
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen += 1
                if seen > lost:
                    raise

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await tasks.cancel(task)
    assert task.cancelled()
    assert seen == lost + 1


async def test_the_failure_of_a_cancelled_task_is_dropped() -> None:
    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await tasks.cancel(task)
    assert isinstance(task.exception(), ValueError)
