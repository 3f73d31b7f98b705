"""``stylestream logs``: what the processes of a stack on this machine have written."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import Final

from client import ConfigurationError
from client.local_stack import default_dir

POLL_S: Final = 0.25


async def logs(arguments: Namespace) -> int:
    """Print the last lines of each process's log; with ``--follow``, what comes after them."""
    folder: Path = (arguments.dir or default_dir()) / "logs"
    files = await asyncio.to_thread(_find, folder, arguments.process)
    width = max(len(file.stem) for file in files)
    places = {file: _print_tail(file, arguments.lines, width) for file in files}
    while arguments.follow:
        await asyncio.sleep(POLL_S)
        for file, place in places.items():
            places[file] = _print_from(file, place, width)
    return 0


def _find(folder: Path, process: str | None) -> list[Path]:
    found = sorted(folder.glob("*.log")) if folder.is_dir() else []
    if not found:
        raise ConfigurationError([f"no stack has run in {folder.parent}: there are no logs"])
    if process is None:
        return found
    chosen = [file for file in found if file.stem == process]
    if not chosen:
        names = ", ".join(file.stem for file in found)
        raise ConfigurationError([f"there is no process {process!r}; there are: {names}"])
    return chosen


def _print_tail(file: Path, lines: int, width: int) -> int:
    data = file.read_bytes()
    _print(file, data.splitlines()[-lines:] if lines else [], width)
    return len(data)


def _print_from(file: Path, place: int, width: int) -> int:
    """Print the whole lines after ``place``; a log that has begun anew is read from its start."""
    try:
        with file.open("rb") as log:
            if log.seek(0, 2) < place:
                place = 0
            log.seek(place)
            data = log.read()
    except FileNotFoundError:
        return 0
    whole = data[: data.rfind(b"\n") + 1]
    _print(file, whole.splitlines(), width)
    return place + len(whole)


def _print(file: Path, lines: list[bytes], width: int) -> None:
    for line in lines:
        print(f"{file.stem:<{width}}  {line.decode(errors='replace')}", flush=True)
