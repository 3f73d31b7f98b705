"""Temporary scarcity of a machine is waited for once; other failures are not."""

from __future__ import annotations

import errno

import pytest

from shared.hubs import scarcity
from shared.hubs.scarcity import retry_on_scarcity

SCARCE = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    RuntimeError("can't start new thread"),
]


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scarcity, "PATIENCE_S", 0.0)


async def outcome(*errors: Exception) -> tuple[str | Exception, int]:
    """Return what comes of work that fails with ``errors``, one after the other, and its tries."""
    left, tries = list(errors), 0

    async def work() -> str:
        nonlocal tries
        tries += 1
        if left:
            raise left.pop(0)
        return "done"

    try:
        return await retry_on_scarcity(work), tries
    except Exception as error:
        return error, tries


@pytest.mark.parametrize("error", SCARCE, ids=repr)
async def test_work_that_failed_for_scarcity_is_tried_once_more(error: Exception) -> None:
    assert await outcome(error) == ("done", 2)


@pytest.mark.parametrize("error", SCARCE, ids=repr)
async def test_work_that_fails_again_for_scarcity_has_failed(error: Exception) -> None:
    again = MemoryError("again")
    assert await outcome(error, again) == (again, 2)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.ENOSPC, "full")], ids=repr)
async def test_failures_that_waiting_does_not_cure_are_not_waited_for(error: Exception) -> None:
    assert await outcome(error) == (error, 1)
