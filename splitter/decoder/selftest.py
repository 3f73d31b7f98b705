"""Try at start, in a child that confines itself as a decoder does, whether the confinement holds.

What a container's own rules, an old kernel or an emulated processor leave of it is found out by
trying, not by asking for versions.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from shared.contracts.errors import ConfigurationError
from splitter.decoder.confinement import available, confine, missing_sentence
from splitter.media.limits import Limits
from splitter.protection import LAYERS, Layer

log = structlog.get_logger()

_COMMAND: Final = (sys.executable, "-P", "-s", "-m", "splitter.decoder.selftest")
_ROOT: Final = Path(__file__).resolve().parents[2]
_TIMEOUT_S: Final = 30.0
_REFUSED: Final = frozenset({errno.EPERM, errno.EACCES, errno.EAGAIN})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The layers of the sandbox that stand, and the forbidden acts that still succeed."""

    layers: frozenset[Layer]
    possible: tuple[str, ...]


async def check_sandbox(*, required: bool) -> Outcome:
    """Confine a child, have it try what a hostile decoder would, and log what was found.

    Raises:
        ConfigurationError: the sandbox is required, and a layer is missing or does not hold.
    """
    outcome = await _run()
    missing = frozenset(LAYERS) - outcome.layers
    if required and missing:
        raise ConfigurationError([f"SANDBOX: {missing_sentence(missing)}"])
    if required and outcome.possible:
        acts = ", ".join(outcome.possible)
        raise ConfigurationError([f"SANDBOX: a confined decoder can still {acts}."])
    report = log.warning if missing or outcome.possible else log.info
    report(
        "decoder sandbox",
        layers=sorted(outcome.layers),
        missing=sorted(missing),
        possible=list(outcome.possible),
    )
    return outcome


async def _run() -> Outcome:
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(_ROOT)},
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            said, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ConfigurationError(
            [f"SANDBOX: the trial of the sandbox took longer than {_TIMEOUT_S:.0f} s."]
        ) from None
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise ConfigurationError(
            [f"SANDBOX: the trial of the sandbox failed: {''.join(last) or process.returncode}"]
        )
    found = json.loads(said)
    return Outcome(
        frozenset(layer for layer in LAYERS if layer in found["layers"]), tuple(found["possible"])
    )


def main() -> None:
    """Confine this process, try the forbidden acts, and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        # The folder is left to the other side of the fork: a confined process deletes no folder.
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            sys.exit(os.waitstatus_to_exitcode(status))
        layers = available()
        confine(Limits(), Path(folder))
        possible = list(possible_acts())
        os.write(1, json.dumps({"layers": sorted(layers), "possible": possible}).encode())
        os._exit(0)


def possible_acts() -> Iterator[str]:
    """Try what no decoder has to do, and yield what the process was not refused."""
    acts: dict[str, Callable[[], object]] = {
        "read files": lambda: os.open(sys.executable, os.O_RDONLY),
        "create files": lambda: os.open(_ROOT / "new", os.O_WRONLY | os.O_CREAT),
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


def _fork() -> None:
    if not (child := os.fork()):
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
