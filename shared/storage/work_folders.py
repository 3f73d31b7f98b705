"""Folders for work in hand, which are removed with it, even if its process is killed.

A volume outlives the container that is restarted on it: what killed processes leave behind would
eventually fill it. So every folder is locked by the process that works in it, a lock ends with its
process, and a service that starts removes the folders that are not locked. The folder itself is
locked: a lock file may be missing if its process was killed while it made or removed the folder.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from shared.tasks.waits import is_set_within

log = structlog.get_logger()

_PREFIX: Final = "stylestream-work-"
_MORE_BYTES: Final = 2**20
_LOOK_S: Final = 0.5

FULL_S: Final = 60.0
"""How long work that did not fit waits for space."""


@contextlib.contextmanager
def work_folder(parent: str | None) -> Iterator[Path]:
    """Make a folder in ``parent`` or the system's temporary directory, and remove it in the end."""
    with contextlib.ExitStack() as held:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            # Before it was locked, a sweep may have taken it for one that was left behind.
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                held.enter_context(_locked(folder))
                break
        try:
            yield folder
        finally:
            _remove(folder)


def lasting_work_folder() -> Path:
    """Make a folder in the system's temporary directory that is removed when this process exits."""
    held = contextlib.ExitStack()
    atexit.register(held.close)
    return held.enter_context(work_folder(None))


def _remove(folder: Path) -> None:
    """Remove a folder as far as possible: that some of it stays must not make its work fail."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        log.warning("work folder not removed; a service that starts does it", folder=str(folder))


def sweep_work_folders(parent: str | None) -> int:
    """Remove the folders in ``parent`` whose processes are gone; return how many."""
    swept = 0
    for folder in Path(parent or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked(folder):
            shutil.rmtree(folder)
            swept += 1
    if swept:
        log.info("folders of killed services removed", folders=swept)
    return swept


def free_bytes(parent: str | None) -> int:
    """Return the free bytes where `work_folder` makes folders in ``parent``."""
    return shutil.disk_usage(parent or tempfile.gettempdir()).free


async def more_space(parent: str | None, before: int, leaving: asyncio.Event) -> bool:
    """Wait until `free_bytes` is clearly more than ``before``; return whether it is.

    ``before`` is measured as soon as something does not fit: what becomes free while that is
    recorded counts. Returns after `FULL_S` at the latest, and when ``leaving`` is set.
    """
    until = time.monotonic() + FULL_S
    while time.monotonic() < until and not leaving.is_set():
        await is_set_within(leaving, _LOOK_S)
        if free_bytes(parent) >= before + _MORE_BYTES:
            return True
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock.

    Raises:
        BlockingIOError: it is held elsewhere.
        FileNotFoundError: it is gone.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()  # whoever held the lock before may have removed it
        yield
    finally:
        os.close(opened)
