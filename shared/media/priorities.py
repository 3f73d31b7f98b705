"""Undoes what an encoder does to the priorities of threads.

SVT-AV1, if root runs it, makes its threads and the one that opens it real-time threads of the
highest priority, and so are all threads and processes that these start later. On a machine of two
cores nothing else then gets to run for as long as they paint.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_THREADS: Final = Path("/proc/self/task")


@contextlib.contextmanager
def priorities_kept() -> Iterator[None]:
    """Give threads that become real-time threads meanwhile the priority of the caller again."""
    if sys.platform != "linux":
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in _THREADS.iterdir():
            # A thread may end at any time.
            with contextlib.suppress(ProcessLookupError):
                number = int(thread.name)
                if os.sched_getscheduler(number) == os.SCHED_FIFO != policy:
                    os.sched_setscheduler(number, policy, priority)
