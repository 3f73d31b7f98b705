"""Ends a process together with its parent, so that none goes on unsupervised. On Linux alone."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
# Loaded before any fork: between fork and exec, nothing but the call itself may happen.
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process as soon as the thread that forked it ends.

    The kernel does not do that for a parent that has ended already. So if ``parent`` is given and
    is no longer the parent, this process exits at once.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
