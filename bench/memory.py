"""The memory of processes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil


def peak_mib(pid: int) -> float:
    """Return the peak resident memory of a process so far, in MiB; 0 if it is gone."""
    return _mib(pid, "status", "VmHWM:")


def shared_out_mib(pid: int) -> float:
    """Return the memory of a process and its descendants now, in MiB: the sum of their PSS.

    Shared memory is divided among the processes that share it, so the sum is what the machine
    needs. 0 if the system does not report it.
    """
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        family = (root, *root.children(recursive=True))
        return sum(_mib(process.pid, "smaps_rollup", "Pss:") for process in family)
    return 0.0


def own_share_mib() -> float:
    """Return the PSS of this process alone, in MiB."""
    return _mib(os.getpid(), "smaps_rollup", "Pss:")


def _mib(pid: int, file: str, field: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0
