"""How much memory processes take."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil


def peak_mib(pid: int) -> float:
    """Return the most that was resident of a process so far, in MiB; 0 when it is gone."""
    return _mib(pid, "status", "VmHWM:")


def shared_out_mib(pid: int) -> float:
    """Return what a process and its descendants take now, in MiB: PSS, summed up.

    What several processes have in common counts for each in part, so that sums are what the machine
    has to have. 0 where the system does not tell.
    """
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        family = (root, *root.children(recursive=True))
        return sum(_mib(process.pid, "smaps_rollup", "Pss:") for process in family)
    return 0.0


def own_share_mib() -> float:
    """Return the share of this process alone, in MiB."""
    return _mib(os.getpid(), "smaps_rollup", "Pss:")


def _mib(pid: int, file: str, field: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0
