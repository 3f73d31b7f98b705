"""Cancelling tasks, by signals too, and including those that lose a cancellation."""

from __future__ import annotations

import asyncio
import os
import signal

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


@pytest.mark.parametrize("received", [signal.SIGTERM, signal.SIGHUP])
async def test_signals_cancel_a_task_until_the_outermost_context_ends(
    received: signal.Signals,
) -> None:
    before = signal.signal(received, signal.SIG_DFL)  # also where the tests run under nohup
    try:
        with tasks.cancelled_by_signals():
            with tasks.cancelled_by_signals():
                pass
            os.kill(os.getpid(), received)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(asyncio.Event().wait(), 60)
            # The same signal again ends the process at once
            assert signal.getsignal(received) is signal.SIG_DFL
        with tasks.cancelled_by_signals():
            assert signal.getsignal(received) is not signal.SIG_DFL
        assert signal.getsignal(received) is signal.SIG_DFL
    finally:
        signal.signal(received, before)
