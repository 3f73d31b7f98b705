"""Finds the videos that a command line names: files, or whole folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

VIDEO_ENDINGS: Final = frozenset(
    f".{ending}"
    for ending in (
        "3g2 3gp asf avi dv f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob "  # noqa: SIM905 - a list of 22 lines says no more
        "webm wmv y4m".split()
    )
)
"""The files of a folder that count as videos; a file that is named itself always does."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def find_videos(words: Sequence[str], styles: Iterable[str] = ()) -> tuple[list[Path], list[str]]:
    """Return the videos that ``words`` name, each once, and a sentence for each that names none.

    In folders, results of earlier runs (``beach.the-scream.mp4`` beside ``beach.mov``) are left
    out; they are recognised by the names of ``styles``.
    """
    videos: dict[str, Path] = {}
    problems: list[str] = []
    for word in words:
        found, refused = _find(word, tuple(styles))
        for path in found:
            # One file may be named in several ways; links count as separate files.
            place = os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118
            videos.setdefault(place, path)
        problems += refused
    return list(videos.values()), problems


def find_left_out(words: Iterable[str]) -> list[str]:
    """Return a sentence for each folder of ``words`` that also holds what is not painted.

    Hidden files do not count, and results of earlier runs are videos themselves.
    """
    folders = [Path(word) for word in words if os.path.isdir(word)]  # noqa: PTH112 - a name may be too long
    return [
        f"{folder}: left out {enumerated(names)}; to paint what one of them holds, name it"
        for folder in folders
        if (names := [_shown(path) for path in sorted(folder.iterdir()) if _is_left_out(path)])
    ]


def short_names(videos: Sequence[Path]) -> list[str]:
    """Return the files' names, with as many folders before them as it takes to tell them apart.

    >>> short_names([Path("a/x.mp4"), Path("b/x.mp4"), Path("b/y.mp4")])
    ['a/x.mp4', 'b/x.mp4', 'y.mp4']
    """
    return [_short_name(video, [other for other in videos if other != video]) for video in videos]


def enumerated(names: Sequence[str], most: int = 10) -> str:
    """Return names as a list, and how many more there are.

    >>> enumerated(["a", "b", "c"]), enumerated(["a", "b", "c"], most=1)
    ('a, b, c', 'a and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def _short_name(video: Path, others: Sequence[Path]) -> str:
    for count in range(1, len(video.parts)):
        if all(other.parts[-count:] != video.parts[-count:] for other in others):
            return str(Path(*video.parts[-count:]))
    return str(video)


def _is_left_out(path: Path) -> bool:
    return path.name[0] != "." and (path.is_dir() or path.suffix.lower() not in VIDEO_ENDINGS)


def _shown(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else path.name


def _find(word: str, styles: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    if word == "-":
        return [], ["-: a video cannot be read from a pipe; write it into a file first"]
    if _URL.match(word):
        return [], [f"{word}: only files are accepted; download it first, for example with curl -O"]
    if not word:
        return [], ["a video's name is empty"]
    path = Path(word)
    try:
        if path.is_dir():
            return _of_folder(path, styles)
    except OSError as error:
        return [], [f"{word}: {error.strerror}"]
    return [path], find_unreadable(path)


def find_unreadable(path: Path) -> list[str]:
    """Return a sentence that says why a file cannot be read."""
    try:
        if path.is_dir():
            return [f"{path} is a folder; name a file"]
        if not path.exists():
            is_link = path.is_symlink()
            return [f"{path}: {'this link leads to no file' if is_link else 'no such file'}"]
        if not path.is_file():
            return [f"{path} is not a file"]
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return [] if os.access(path, os.R_OK) else [f"{path}: not readable"]


def _of_folder(folder: Path, styles: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in VIDEO_ENDINGS and path.is_file() and path.name[0] != "."
    )
    names = {name for path in files for name in (path.stem, path.name)}
    videos = [path for path in files if not _is_result(path, names, styles)]
    return videos, [] if videos else [f"{folder}: there are no videos in this folder"]


def _is_result(path: Path, names: set[str], styles: tuple[str, ...]) -> bool:
    """Return whether a file has the name of the result of another one of ``names``."""
    source, _, request = path.stem.rpartition(".")
    return source in names and request.startswith(styles or ("\0",))
