"""Folders for work in hand, which disappear with it, also when its process was killed.

A volume outlives the container that is restarted on it: what a killed process leaves behind would
fill it in the end. So every folder is locked by the process that works in it, and a lock goes with
its process; a service that starts removes the folders that nobody holds.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import structlog

log = structlog.get_logger()

_PREFIX: Final = "stylestream-work-"
_LOCK: Final = "lock"
_MORE_BYTES: Final = 2**20
_LOOK_S: Final = 0.5

FULL_S: Final = 60.0
"""How long work that did not fit waits for room."""


@contextlib.contextmanager
def work_folder(parent: str | None) -> Iterator[Path]:
    """Make a folder in ``parent``, or in the system's place for such, and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as made:
        folder = Path(made)
        with _locked(folder / _LOCK, "x"):
            yield folder


def lasting_work_folder() -> Path:
    """Make a folder in the system's place for such that goes with this process."""
    held = contextlib.ExitStack()
    atexit.register(held.close)
    return held.enter_context(work_folder(None))


def sweep_work_folders(parent: str | None) -> int:
    """Remove the folders in ``parent`` whose processes are gone; return how many there were."""
    swept = 0
    for folder in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # One without its lock is being made just now, or somebody is sweeping as well.
        with contextlib.suppress(OSError), _locked(folder / _LOCK, "r"):
            shutil.rmtree(folder)
            swept += 1
    if swept:
        log.info("folders of killed services removed", folders=swept)
    return swept


async def more_room(parent: str | None, within_s: float, leaving: asyncio.Event) -> bool:
    """Wait until others have left room in ``parent``; return whether they did.

    Returns after ``within_s`` at the latest, and when ``leaving`` is set.
    """
    place = parent or tempfile.gettempdir()
    before, until = shutil.disk_usage(place).free, time.monotonic() + within_s
    while time.monotonic() < until and not leaving.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await leaving.wait()
        if shutil.disk_usage(place).free >= before + _MORE_BYTES:
            return True
    return False


@contextlib.contextmanager
def _locked(path: Path, mode: str) -> Iterator[IO[str]]:
    """Hold a file's lock.

    Raises:
        OSError: somebody else holds it, or there is no such file.
    """
    with path.open(mode) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
