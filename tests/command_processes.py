"""Commands in processes of their own, as users start them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

COMMAND = Path(sys.executable).with_name("stylestream")
DEADLINE_S = 90.0
_SETTINGS = ("EVENTHUB_", "STORAGE_", "STYLES_DIR", "XDG_STATE_HOME")


async def start(*arguments: object, **settings: str) -> Process:
    """Start a command with the given settings, and none of this environment."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    return await asyncio.create_subprocess_exec(
        COMMAND, *map(str, arguments), stdout=PIPE, stderr=PIPE, env=inherited | settings
    )


async def run(*arguments: object, **settings: str) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, stdout and stderr."""
    process = await start(*arguments, **settings)
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
