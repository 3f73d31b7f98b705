"""Commands that draw live lines give the terminal back, whatever ends or suspends them."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient
from command_processes import COMMAND, DEADLINE_S

from local.defaults import SAMPLE

pytestmark = pytest.mark.asyncio(loop_scope="session")

HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
WATCHING = (("status", "--watch"), ("submit", str(SAMPLE), "--wait"))


@pytest_asyncio.fixture(loop_scope="session")
async def settings(storage_connection: str) -> dict[str, str]:
    """An account in which no service takes anything up."""
    mark = uuid.uuid4().hex[:8]
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        for name in ("uploads", "results", "jobs"):
            await account.create_container(f"{name}-{mark}")
    places = {f"{name.upper()}_CONTAINER": f"{name}-{mark}" for name in ("uploads", "jobs")}
    return {"STORAGE_CONNECTION_STRING": storage_connection, "TERM": "xterm", **places}


class Watched:
    """A command on a terminal of its own, and what it has drawn there."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.drawn = ""
        self._terminal = terminal

    @property
    def cursor(self) -> str:
        """What was done to the cursor last."""
        return re.findall(r"\x1b\[\?25[lh]", self.drawn)[-1]

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not wanted():
                with_more = await asyncio.to_thread(os.read, self._terminal, 65536)
                self.drawn += with_more.decode(errors="replace")

    async def ended(self) -> int:
        """Read to the end, and return the exit code."""
        with pytest.raises(OSError, match="Input/output error"):
            await self.until(lambda: False)
        return await asyncio.to_thread(self.process.wait)


def started(
    words: tuple[str, ...], settings: dict[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *words], stdin=side, stdout=side, stderr=side, env={**os.environ, **settings}
    )
    os.close(side)
    return process, terminal


@asynccontextmanager
async def watched(words: tuple[str, ...], settings: dict[str, str]) -> AsyncIterator[Watched]:
    process, terminal = started(words, settings)
    shown = Watched(process, terminal)
    try:
        await shown.until(lambda: HIDDEN in shown.drawn)
        yield shown
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


@pytest.mark.parametrize(
    ("words", "number"),
    [
        *((words, signal.SIGINT) for words in WATCHING),
        (WATCHING[0], signal.SIGTERM),
        (WATCHING[1], signal.SIGHUP),
    ],
)
async def test_a_command_that_is_ended_shows_the_cursor_again(settings, words, number):
    async with watched(words, settings) as shown:
        shown.process.send_signal(number)
        assert await shown.ended() == 130
        assert shown.cursor == SHOWN
        assert "stylestream: interrupted" in shown.drawn.splitlines()[-1]


async def test_a_command_that_is_suspended_gives_the_terminal_back_until_it_goes_on(settings):
    async with watched(WATCHING[1], settings) as shown:
        shown.process.send_signal(signal.SIGTSTP)
        async with asyncio.timeout(DEADLINE_S):
            _, state = await asyncio.to_thread(os.waitpid, shown.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(state)
        await shown.until(lambda: shown.cursor == SHOWN)
        shown.process.send_signal(signal.SIGCONT)
        await shown.until(lambda: shown.cursor == HIDDEN)
        shown.process.terminate()
        assert await shown.ended() == 130
        assert shown.cursor == SHOWN
