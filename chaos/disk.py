"""A small disk of its own for work folders, which can be filled."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

_NAME: Final = "stylestream-chaos-"
"""What mounted disks are called, before the number of the process that mounts them."""

_SIZE: Final = 16 * 2**20
_PIECE: Final = 2**16


class Disk:
    """A folder, on a file system of its own if the user may mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self.small = False
        """Whether it can be filled."""

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Make the folder, and mount a small file system there if possible.

        Those of processes that were killed are unmounted.
        """
        self.folder.mkdir()
        mount = shutil.which("mount")
        if mount is not None and os.geteuid() == 0:
            for folder in _left_behind():
                _unmount(folder)
            name = f"{_NAME}{os.getpid()}"
            options = ("-t", "tmpfs", "-o", f"size={_SIZE}", name, str(self.folder))
            self.small = subprocess.run([mount, *options], check=False).returncode == 0
        try:
            yield
        finally:
            if self.small:
                _unmount(str(self.folder))

    def fill(self) -> None:
        """Fill the disk."""
        if not self.small:
            return
        with self._filler.open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(_PIECE))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Free the space again."""
        self._filler.unlink(missing_ok=True)


def _left_behind() -> Iterator[str]:
    """Yield where disks are mounted whose processes no longer exist."""
    for disk in psutil.disk_partitions(all=True):
        pid = disk.device.removeprefix(_NAME)
        if pid != disk.device and not psutil.pid_exists(int(pid)):
            yield disk.mountpoint


def _unmount(folder: str) -> None:
    # Lazily, because a service that was killed may not have exited yet.
    subprocess.run(["umount", "-l", folder], check=False)
