"""What the machine offers a service."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup")
_QUOTAS: Final = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""The files of a container's quota of CPU time and of the period that it is for, by version."""


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Count the CPU cores that this process may use, within its container's quota of CPU time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores or 1, _quota(cgroup))


def _quota(cgroup: Path) -> int:
    """Return how many cores the container's CPU time lasts for, at least one."""
    for files in _QUOTAS:
        # Absent outside Linux; "max" or a negative number where nothing is limited.
        with contextlib.suppress(OSError, ValueError):
            text = " ".join((cgroup / file).read_text(encoding="ascii") for file in files)
            quota, period = map(int, text.split())
            if quota > 0:
                return math.ceil(quota / period)
    return sys.maxsize
