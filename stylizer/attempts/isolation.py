"""Paints a suspect chunk in a child process, where a crash or a hang affects nothing else.

A chunk whose first attempt raised or killed its worker is tried again here: a crash or a hang then
costs the attempt instead of the worker, and the other chunks carry on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from shared.contracts.errors import PermanentError, StylestreamError
from shared.contracts.messages import ChunkReady
from shared.service.settings import ServiceSettings

Work = Literal["paint", "pass_through"]
READY: Final = b"ready\n"

_COMMAND: Final = (sys.executable, "-P", "-m", "stylizer.attempts.isolated_child")
_ROOT: Final = Path(__file__).resolve().parents[2]
_START_S: Final = 120.0
_STDERR_TAIL: Final = 300


class AttemptFailed(StylestreamError):
    """An attempt that failed for a reason that another attempt may not meet.

    The message is for users; ``detail`` is for the log, in the words of the library that failed.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message


async def run_isolated(
    work: Work,
    event: ChunkReady,
    mezzanine: bytes,
    deadline_s: float,
    styles: str = "",
    chosen: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Return the segment that the child makes.

    The child gets this process's environment, without the settings that give access to hubs and
    storage, and with those that this process has ``chosen``. ``styles`` is the version of the
    event's style that this process has: a child that finds another one on disk refuses to paint.
    The child is killed at the deadline, which does not include its start, and on cancellation.

    Raises:
        PermanentError: what the child found wrong with the chunk or its style.
        AttemptFailed: the child crashed, hung, or raised something unforeseen.
    """
    child = await asyncio.create_subprocess_exec(
        *_COMMAND,
        work,
        styles,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**_environment(), **chosen},
    )
    try:
        await _ready(child)
        async with asyncio.timeout(deadline_s):
            out, err = await child.communicate(event.to_json() + b"\n" + mezzanine)
    except TimeoutError as error:
        raise AttemptFailed(f"it was not painted within {deadline_s:g} s") from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        # Close the pipes before the wait, which ends only when they have: a full pipe that is not
        # read never ends.
        transport = child._transport  # type: ignore[attr-defined]  # noqa: SLF001
        transport.close()
        await child.wait()
    if child.returncode != 0:
        raise _failure(child.returncode or 0, err)
    return _segment(out)


async def _ready(child: Process) -> None:
    assert child.stdout is not None
    try:
        async with asyncio.timeout(_START_S):
            # An empty line means that the child has ended; its exit status says why.
            await child.stdout.readline()
    except TimeoutError as error:
        raise AttemptFailed(f"its process did not start within {_START_S:g} s") from error


def _segment(out: bytes) -> bytes:
    header, _, segment = out.partition(b"\n")
    answer = json.loads(header)
    if "code" not in answer:
        return segment
    raise PermanentError(answer["code"], answer["message"])


def _failure(code: int, err: bytes) -> AttemptFailed:
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    tail = err.decode(errors="replace").strip().splitlines()[-1:]
    sentence = f"the process that painted it ended with {cause}"
    return AttemptFailed(sentence, ": ".join([sentence, *(w[-_STDERR_TAIL:] for w in tail)]))


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    withheld = {name.upper() for name in ServiceSettings.model_fields} - {"STYLES_DIR"}
    kept = {name: value for name, value in os.environ.items() if name not in withheld}
    return {**kept, "PYTHONPATH": path}
