"""Signals to a process and its children, and a stop that does not block other processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CLOCK: Final = Path("/var/lib/libuuid/clock.txt")
"""The file that libuuid locks while it makes a time-based identifier, which the storage SDK
requests for every call."""

_STOPPING_S: Final = 5.0


def signal_group(pid: int | None, number: signal.Signals) -> None:
    """Send a signal to a process and its children, unless another fault has killed it.

    A process that is stopped while it holds libuuid's lock blocks every process on the machine that
    uses storage, including this one. So the lock is held here until the process has stopped.
    """
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        if number != signal.SIGSTOP:
            os.killpg(pid, number)
            return
        with _clock_held():
            os.killpg(pid, number)
            _wait_until_stopped(pid)


@contextlib.contextmanager
def _clock_held() -> Iterator[None]:
    try:
        clock = CLOCK.open("rb+")
    except OSError:  # a user who cannot open it cannot lock it, and neither can the children
        yield
        return
    with clock:
        fcntl.flock(clock, fcntl.LOCK_EX)
        yield


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + _STOPPING_S
    while not _is_stopped(pid) and time.monotonic() < deadline:
        time.sleep(0.001)


def _is_stopped(pid: int) -> bool:
    """Return whether all threads of a process are stopped."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        states = [(one / "stat").read_text().rpartition(")")[2].split()[0] for one in threads]
    except OSError:  # it has ended, or a thread of it has
        return not Path(f"/proc/{pid}").exists()
    return all(state in "TtZX" for state in states)
