"""Notices when a machine is overloaded, since everything on it is slower then."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PRESSURE: Final = Path("/proc/pressure/cpu")
_MOST_PERCENT: Final = 50.0
"""Share of the last ten seconds in which at least one task waited for a processor."""

_POLL_S: Final = 1.0


def is_strained() -> bool:
    """Return whether processes wait for a processor most of the time."""
    try:
        line = _PRESSURE.read_text(encoding="ascii").splitlines()[0]
        return float(line.split("avg10=")[1].split()[0]) > _MOST_PERCENT
    except (OSError, IndexError, ValueError):  # the kernel does not measure it
        return os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


async def note_strain(note: Callable[[float, float], None]) -> None:
    """Note the times during which the machine is overloaded, until cancelled."""
    while True:
        await asyncio.sleep(_POLL_S)
        if is_strained():
            now = time.time()
            note(now - 2 * _POLL_S, now + 2 * _POLL_S)
