"""Signals to a process and its children, and a stop that stops nobody else."""

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
"""What libuuid locks while it makes an identifier of the time, as the storage SDK has it do for
every request."""

_STOPPING_S: Final = 5.0


def signal_group(pid: int | None, number: signal.Signals) -> None:
    """Send a signal to a process and its children, unless another fault has killed it.

    A process that is stopped while it holds libuuid's lock stops every process of the machine that
    asks storage for anything, this one too. So we hold the lock until it has stopped.
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
    except OSError:  # whoever cannot open it takes no lock, and neither do its children
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
    """Return whether no thread of a process runs."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        states = [(one / "stat").read_text().rpartition(")")[2].split()[0] for one in threads]
    except OSError:  # it has ended, or a thread of it has
        return not Path(f"/proc/{pid}").exists()
    return all(state in "TtZX" for state in states)
