"""Commands in processes of their own: as users start them, or forked from one that has loaded."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import ExitStack
from pathlib import Path

from local.children import python
from shared.forks.client import ForkServer

COMMAND = Path(sys.executable).with_name("stylestream")
DEADLINE_S = 90.0
_SETTINGS = ("EVENTHUB_", "STORAGE_", "STYLES_DIR", "XDG_STATE_HOME")
_LOADED = [
    f"cli.commands.{name}" for name in ("doctor", "jobs", "links", "operate", "submit", "up")
]


def _inherited() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}


FORKS = ForkServer(
    # BLAS would start threads, which forks miss.
    python("local.loader", "cli.main", *_LOADED),
    _inherited() | {"OPENBLAS_NUM_THREADS": "1"},
)
"""What `fork` forks from: most of a short command's time is that of loading the SDK."""


async def start(*arguments: object, **settings: str) -> Process:
    """Start a command with the given settings, and none of this environment."""
    return await asyncio.create_subprocess_exec(
        COMMAND, *map(str, arguments), stdout=PIPE, stderr=PIPE, env=_inherited() | settings
    )


async def fork(*arguments: object, **settings: str) -> tuple[int | None, str, str]:
    """Do what `run` does in a fork."""
    request = {
        "name": "stylestream",
        "argv": ["stylestream", *map(str, arguments)],
        "environment": _inherited() | settings,
        "directory": str(Path.cwd()),
    }
    with ExitStack() as closing:
        given, *told = (
            closing.enter_context(os.fdopen(os.memfd_create(name), "w+b"))
            for name in ("request", "out", "err")
        )
        given.write(json.dumps(request).encode())
        given.seek(0)
        leash = await FORKS.start(b"c", [file.fileno() for file in (given, *told)])
        async with asyncio.timeout(DEADLINE_S):
            code = await leash.wait()
        out, err = (os.pread(file.fileno(), 2**24, 0).decode() for file in told)
    return code, out, err


async def run(*arguments: object, **settings: str) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, stdout and stderr."""
    process = await start(*arguments, **settings)
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
