"""Names the files of results: the same in every run, never too long, never overwriting any."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Self

from client.drafts import LONGEST_ENDING
from client.names import upload_name

RESULT_ENDINGS: Final = (".mp4", ".mkv")
"""MP4, or Matroska for sound that MP4 cannot hold."""

LONGEST_NAME_BYTES: Final = 255
"""The limit of file systems on Linux and macOS."""

_BESIDE_NAME_BYTES: Final = len(".mp4") + LONGEST_ENDING

_BLOCK_BYTES: Final = 4096
"""The least that any file takes on a disk."""

_LEAST_STEM_BYTES: Final = 32
"""At least this much of a video's name is kept, however long the style's is."""


@dataclass(frozen=True, slots=True)
class Output:
    """The value of ``-o``: a file or a folder; a new folder ends in a slash."""

    text: str

    @property
    def path(self) -> Path:
        """The file, or the folder."""
        return Path(self.text)

    @property
    def is_folder(self) -> bool:
        """Whether results go into a folder, under their own names."""
        # Unlike pathlib's, this does not raise for a name that is too long.
        return self.text.endswith(os.sep) or os.path.isdir(self.text)  # noqa: PTH112

    def __str__(self) -> str:
        """Return the option as it was typed."""
        return f"-o {self.text}"


@dataclass(frozen=True, slots=True)
class Target:
    """The file of one result, whose ending depends on the result.

    ``typed`` is the ending in ``-o``; a result of that kind gets it exactly as typed.
    """

    folder: Path
    name: str
    typed: str = ""

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Return the target for a file named in ``-o``."""
        return cls(path.parent, path.stem, path.suffix)

    @property
    def possible(self) -> list[Path]:
        """The files that the result may become."""
        return [self._ending_in(ending) for ending in RESULT_ENDINGS]

    @property
    def existing(self) -> Path | None:
        """The file that the result would replace, if there is one."""
        return next((path for path in self.possible if path.exists()), None)

    def make_folder(self) -> None:
        """Make the folder if it is not there."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def file(self, result: str) -> Path:
        """Return the file for a result, given its name in storage."""
        return self._ending_in(PurePosixPath(result).suffix)

    def _ending_in(self, ending: str) -> Path:
        shown = self.typed if self.typed.lower() == ending else ending
        return self.folder / f"{self.name}{shown}"


def plan_targets(
    output: Output | None, videos: Sequence[Path], slug: str
) -> tuple[list[Target], list[str]]:
    """Return the targets of the results of ``videos``, and a sentence for each problem.

    Without ``output`` they go into the current folder. Problems must be found now, because painting
    may take hours.
    """
    if problems := find_result_problems(output, len(videos)):
        return [], problems
    if output is None or output.is_folder:
        folder = output.path if output else Path()
        targets = [Target(folder, name) for name in result_names(videos, slug)]
    else:
        targets = [Target.of_file(output.path)]
    outputs = [path for target in targets for path in target.possible]
    return targets, find_overwritten(_option(output), outputs, videos)


def find_result_problems(output: Output | None, videos: int = 1) -> list[str]:
    """Return a sentence for each reason why results cannot be written to ``output``."""
    said = _option(output)
    if output is None:
        return find_unwritable(said, Path())
    if output.is_folder:
        return _find_unmakable(said, output.path.absolute())
    if videos > 1:
        return [f"{said}: several videos need a folder, with a slash at its end if it is new"]
    if output.path.suffix.lower() not in RESULT_ENDINGS:
        names = " or ".join(RESULT_ENDINGS)
        return [
            f"{said}: a result is a video, and its name must end in {names}; "
            "a new folder's, in a slash"
        ]
    return find_long_name(said, output.path) or find_unwritable(said, output.path)


def result_names(videos: Sequence[Path], slug: str) -> list[str]:
    """Return a name, without its ending, for each video's result in one folder.

    Videos with the same stem keep their endings, and those with the same name are numbered:

    >>> result_names([Path("beach.mp4")], "udnie")
    ['beach.udnie']
    >>> result_names([Path("a/clip.mp4"), Path("a/clip.mov"), Path("b/clip.mov")], "udnie")
    ['clip.mp4.udnie', 'clip.mov.udnie', 'clip.mov-2.udnie']
    """
    # Many disks do not distinguish names that differ only in case.
    stems = Counter(_folded(video.stem) for video in videos)
    names: dict[str, str] = {}
    for video in videos:
        stem = video.stem if stems[_folded(video.stem)] == 1 else video.name
        number = 1
        while _folded(name := _named(stem, "" if number == 1 else f"-{number}", slug)) in names:
            number += 1
        names[_folded(name)] = name
    return list(names.values())


def fetch_target(output: Output | None, result: str) -> Target:
    """Return the target of a finished result: in a folder, under its name in storage."""
    if output is not None and not output.is_folder:
        return Target.of_file(output.path)
    name = _cut(upload_name(PurePosixPath(result).stem), LONGEST_NAME_BYTES - _BESIDE_NAME_BYTES)
    return Target(output.path if output else Path(), name)


def find_overwritten(said: str, outputs: Iterable[Path], sources: Iterable[Path]) -> list[str]:
    """Return a sentence if a result would overwrite its own source."""
    there = [output for output in outputs if output.exists()]
    return [
        f"{said}: this would overwrite the source {source}"
        for source in sources
        if source.exists() and any(output.samefile(source) for output in there)
    ]


def find_long_name(said: str, path: Path) -> list[str]:
    """Return a sentence if a name is too long for its draft's name to fit."""
    most = LONGEST_NAME_BYTES - LONGEST_ENDING
    too_long = len(os.fsencode(path.name)) > most
    return [f"{said}: the file's name is longer than {most} bytes"] if too_long else []


def find_unwritable(said: str, path: Path) -> list[str]:
    """Return a sentence if a file cannot be written, or a folder cannot be written into."""
    folder = path.absolute().parent
    try:
        folder = path if path.is_dir() else folder
        if not folder.is_dir():
            return [f"{said}: there is no folder {folder}"]
        if path.is_file() and not os.access(path, os.W_OK):
            return [f"{said}: {path} is not writable"]
        # Permissions are not enough: a file system may be read-only or full.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_BLOCK_BYTES))
            file.flush()
        return []
    except OSError as error:
        return [f"{said}: cannot write into {folder.absolute()}: {error.strerror}"]


def find_unwritable_file(said: str, path: Path | None) -> list[str]:
    """Return a sentence if a file cannot be written; None needs no file."""
    if path is None:
        return []
    return [f"{said} is a folder"] if path.is_dir() else find_unwritable(said, path)


def _find_unmakable(said: str, folder: Path) -> list[str]:
    """Return a sentence if a folder cannot be made, or an existing one cannot be written into."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return find_unwritable(said, there) if there.is_dir() else [f"{said}: {there} is not a folder"]


def _option(output: Output | None) -> str:
    return "the current folder" if output is None else str(output)


def _named(stem: str, number: str, slug: str) -> str:
    room = LONGEST_NAME_BYTES - _BESIDE_NAME_BYTES
    end = f"{number}.{_cut(slug, room - len(number) - 1 - _LEAST_STEM_BYTES)}"
    return f"{_cut(stem, room - len(os.fsencode(end)))}{end}"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _cut(text: str, most_bytes: int) -> str:
    """Return the beginning of a name that fits, cut between characters."""
    while len(os.fsencode(text)) > most_bytes:
        text = text[:-1]
    return text
