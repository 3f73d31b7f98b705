"""Folders for work in hand, which disappear with it, also when its process was killed.

A volume outlives the container that is restarted on it: what a killed process leaves behind would
fill it in the end. So every folder is locked by the process that works in it, and a lock goes with
its process; a service that starts removes the folders that nobody holds.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import structlog

log = structlog.get_logger()

_PREFIX: Final = "stylestream-work-"
_LOCK: Final = "lock"


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


@contextlib.contextmanager
def _locked(path: Path, mode: str) -> Iterator[IO[str]]:
    """Hold a file's lock.

    Raises:
        OSError: somebody else holds it, or there is no such file.
    """
    with path.open(mode) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file
