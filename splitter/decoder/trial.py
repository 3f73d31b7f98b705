"""What a confined process tries in order to find out whether its confinement holds.

`splitter.decoder.selftest` runs it in a fork of the process that decoders are forked from.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from splitter.decoder.confinement import available, confine
from splitter.media.crew import Crew
from splitter.media.limits import Limits

_REFUSED: Final = frozenset({errno.EPERM, errno.EACCES, errno.EAGAIN})


def main() -> None:
    """Confine this process, try the forbidden acts, and print the outcome as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        # The parent deletes the folder: a confined process cannot.
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            sys.exit(os.waitstatus_to_exitcode(status))
        try:
            os.write(1, json.dumps(_outcome(Path(folder))).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)


def _outcome(folder: Path) -> dict[str, list[str]]:
    """Confine this process, and return its layers and what it can still do."""
    layers, crew = available(), Crew(2)
    confine(Limits(), folder, start_threads=crew.start)
    on_threads = crew.submit_to_all(lambda: list(possible_acts()))
    possible = set(possible_acts()).union(*(acts.result() for acts in on_threads))
    return {"layers": sorted(layers), "possible": sorted(possible)}


def possible_acts() -> Iterator[str]:
    """Try what a decoder never has to do, and yield what was not refused."""
    acts: dict[str, Callable[[], object]] = {
        "read files": lambda: os.open(sys.executable, os.O_RDONLY),
        "create files": _create,
        "open sockets": socket.socket,
        "signal other processes": lambda: os.kill(os.getppid(), 0),
        "run programs": lambda: os.execv("/nonexistent", ["/nonexistent"]),  # noqa: S606 - must fail
        "start processes": _fork,
    }
    for name, act in acts.items():
        try:
            act()
        except OSError as error:
            if error.errno in _REFUSED:
                continue
        yield name


def _create() -> None:
    file = Path(tempfile.gettempdir(), f"stylestream-trial-{os.getpid()}")
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    file.unlink()


def _fork() -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)
