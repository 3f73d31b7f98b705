"""``stylestream logs``: the logs of a stack on this machine."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from client import ConfigurationError
from client.local_stack import default_dir
from shared.telemetry.escapes import escaped

POLL_S: Final = 0.25
_WIDTH: Final = len("stylizer-1")
"""Few names of processes are longer than this one."""

_TAB: Final = "\t"

Say = Callable[[str], None]


async def logs(arguments: Namespace) -> int:
    """Print the last lines of each process's log; with ``--follow``, also new ones."""
    folder: Path = (arguments.dir or default_dir()) / "logs"
    files = await asyncio.to_thread(_find, folder, arguments.process)
    width = max(len(file.stem) for file in files)
    places = {
        file: _print_tail(file, arguments.lines, width, whole=arguments.follow) for file in files
    }
    while arguments.follow:
        await asyncio.sleep(POLL_S)
        for file in files if arguments.process else _logs(folder):
            places[file] = _hand_on(file, places.get(file, 0), width, _print)
    return 0


@contextlib.asynccontextmanager
async def shown(folder: Path, say: Say) -> AsyncIterator[None]:
    """Pass to ``say`` every line that a stack's processes log in ``folder`` from now on."""
    places = {file: file.stat().st_size for file in _logs(folder)}

    def say_new_lines() -> None:
        for file in _logs(folder):
            places[file] = _hand_on(file, places.get(file, 0), _WIDTH, say)

    async def follow() -> None:
        while True:
            say_new_lines()
            await asyncio.sleep(POLL_S)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        say_new_lines()


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log")) if folder.is_dir() else []


def _find(folder: Path, process: str | None) -> list[Path]:
    found = _logs(folder)
    if not found:
        raise ConfigurationError([f"no stack has run in {folder.parent}: there are no logs"])
    if process is None:
        return found
    chosen = [file for file in found if file.stem == process]
    if not chosen:
        names = ", ".join(file.stem for file in found)
        raise ConfigurationError([f"there is no process {process!r}; there are: {names}"])
    return chosen


def _print_tail(file: Path, lines: int, width: int, *, whole: bool) -> int:
    """Print the last lines and return where they end; ``whole`` leaves out an incomplete one."""
    data = file.read_bytes()
    if whole:
        data = data[: data.rfind(b"\n") + 1]
    _say_each(file, data.splitlines()[-lines:] if lines else [], width, _print)
    return len(data)


def _hand_on(file: Path, place: int, width: int, say: Say) -> int:
    """Pass on the complete lines after ``place``; a restarted log is read from its beginning."""
    try:
        with file.open("rb") as log:
            if log.seek(0, 2) < place:
                place = 0
            log.seek(place)
            data = log.read()
    except FileNotFoundError:
        return 0
    whole = data[: data.rfind(b"\n") + 1]
    _say_each(file, whole.splitlines(), width, say)
    return place + len(whole)


def _say_each(file: Path, lines: list[bytes], width: int, say: Say) -> None:
    for line in lines:
        say(f"{file.stem:<{width}}  {escaped(line.decode(errors='replace'), keep=_TAB)}")


def _print(line: str) -> None:
    print(line, flush=True)
