"""Whether there is room for the videos of a command where a stack keeps them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LITTLE_ROOM: Final = 64 << 20
"""With less than these bytes, storage may soon be unable to write a blob."""

_MB: Final = 1_000_000


def find_room_problems(videos: Sequence[Path], folder: Path) -> list[str]:
    """Return a sentence if a stack in ``folder`` has no room for the ``videos`` themselves.

    Painting takes more room than that, but how much is not known beforehand.
    """
    needed, free = sum(video.stat().st_size for video in videos), _free(folder)
    if needed <= free:
        return []
    what = f"{videos[0]} takes" if len(videos) == 1 else f"the {len(videos)} videos take"
    return [
        f"{what} {_megabytes(needed)}, and the pipeline keeps uploads in {folder}, where "
        f"{_megabytes(free)} are free: make room there"
    ]


def shortage(folder: Path) -> str:
    """Return a sentence if there is hardly any room for a stack in ``folder``, else nothing."""
    free = _free(folder)
    if free >= LITTLE_ROOM:
        return ""
    return f"only {_megabytes(free)} are free in {folder}; make room there, and it goes on"


def _free(folder: Path) -> int:
    """Return the free bytes of the disk that ``folder`` is on, or will be made on."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _megabytes(count: int) -> str:
    return f"{count / _MB:.1f} MB"
