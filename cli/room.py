"""Whether there is room for the videos of a command and their results."""

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
    needed, free = _size(videos), _free(folder)
    if needed <= free:
        return []
    return [
        f"{_take(videos)}, and the pipeline keeps uploads in {folder}, where "
        f"{_megabytes(free)} are free: make room there"
    ]


def doubt_about_results(videos: Sequence[Path], folder: Path) -> str:
    """Return a sentence if ``folder`` may have no room for the results of ``videos``, else nothing.

    How large they will be is not known beforehand.
    """
    if _size(videos) <= (free := _free(folder)):
        return ""
    return (
        f"{_take(videos)}, and only {_megabytes(free)} are free in {folder.absolute()}: results "
        "may not fit there"
    )


def shortage(folder: Path) -> str:
    """Return a sentence if there is hardly any room for a stack in ``folder``, else nothing."""
    free = _free(folder)
    if free >= LITTLE_ROOM:
        return ""
    return f"only {_megabytes(free)} are free in {folder}; make room there, and it goes on"


def _size(videos: Sequence[Path]) -> int:
    return sum(video.stat().st_size for video in videos)


def _take(videos: Sequence[Path]) -> str:
    what = f"{videos[0]} takes" if len(videos) == 1 else f"the {len(videos)} videos take"
    return f"{what} {_megabytes(_size(videos))}"


def _free(folder: Path) -> int:
    """Return the free bytes of the disk that ``folder`` is on, or will be made on."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free


def _megabytes(count: int) -> str:
    return f"{count / _MB:.1f} MB"
