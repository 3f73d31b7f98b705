"""The process that others are forked from, while these end at unfortunate moments."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.forks.client import ForkServer, Leash

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

ROOT = Path(__file__).resolve().parents[3]

# A fork ends with its standard input. If "hold" is there, the server waits before its next fork,
# and says when it has heard of the end of another. While "full" is there, forks are refused.
PROGRAM = """
import errno, os, signal, sys
from pathlib import Path
from shared.forks.server import wait_for_work

folder = Path(sys.argv[1])

def hear(*_):
    signal.signal(signal.SIGCHLD, lambda *_: None)
    (folder / "heard").open("w").close()

def wait():
    if (folder / "hold").exists():
        (folder / "hold").unlink()
        signal.signal(signal.SIGCHLD, hear)
        (folder / "held").open("w").close()
        (folder / "go").open().close()

def fork(kernels=os.fork):
    if (folder / "full").exists():
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
    return kernels()

os.fork = fork
os.register_at_fork(before=wait)
wait_for_work()
sys.stdin.read()
"""


@asynccontextmanager
async def forked(server: ForkServer) -> AsyncIterator[tuple[Leash, Callable[[], None]]]:
    """Start a fork; yield its leash, and what lets it end by itself."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as ours:
        with os.fdopen(reading) as theirs:
            leash = await server.start(b"w", [theirs.fileno(), 1, 2])
        yield leash, ours.close
        await leash.stop()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ForkServer]:
    async with ForkServer(*_program(tmp_path)) as server:
        yield server


def _program(folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    return (sys.executable, "-c", PROGRAM, str(folder)), {"PYTHONPATH": str(ROOT)}


async def test_a_fork_that_is_stopped_as_it_ends_takes_no_other_with_it(
    server: ForkServer, tmp_path: Path
) -> None:
    for name in ("held", "heard", "go"):
        os.mkfifo(tmp_path / name)
    async with forked(server) as (first, end_first):
        assert await first.begun()
        (tmp_path / "hold").touch()
        async with forked(server) as (second, end_second):
            await asyncio.to_thread((tmp_path / "held").read_bytes)
            # While the server is busy, a fork ends by itself, and is stopped after that
            end_first()
            await asyncio.to_thread((tmp_path / "heard").read_bytes)
            first.cut()
            await asyncio.to_thread((tmp_path / "go").write_bytes, b"")
            assert await first.wait() == 0
            end_second()
            assert await second.wait() == 0


@pytest.mark.parametrize("log", [None, Path("/dev/full")])
async def test_a_fork_that_the_machine_refuses_takes_no_other_with_it(
    tmp_path: Path, log: Path | None
) -> None:
    async with ForkServer(*_program(tmp_path), log) as server, forked(server) as (first, end_first):
        assert await first.begun()
        (tmp_path / "full").touch()
        async with forked(server) as (refused, _):
            assert await refused.wait() is None
        (tmp_path / "full").unlink()
        async with forked(server) as (second, end_second):
            for leash, end in ((first, end_first), (second, end_second)):
                end()
                assert await leash.wait() == 0


async def test_a_request_whose_files_do_not_fit_takes_no_other_fork_with_it(
    server: ForkServer,
) -> None:
    async with forked(server) as (first, end_first):
        parent = _parent(await first.begun())
        before = resource.prlimit(parent, resource.RLIMIT_NOFILE)
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (0, before[1]))
        async with forked(server) as (refused, _):
            assert await refused.wait() is None
        resource.prlimit(parent, resource.RLIMIT_NOFILE, before)
        async with forked(server) as (second, end_second):
            assert _parent(await second.begun()) == parent
            for leash, end in ((first, end_first), (second, end_second)):
                end()
                assert await leash.wait() == 0


async def test_a_server_that_could_not_be_restarted_is_restarted_with_the_next_fork(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with forked(server) as (first, _):
        parent = _parent(await first.begun())
        with os.fdopen(os.pidfd_open(parent)) as ended:
            os.kill(parent, signal.SIGKILL)
            await asyncio.to_thread(select.select, [ended], [], [])
    pairs = itertools.count()

    def pair(kernels: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair) -> Any:
        if next(pairs):
            raise OSError(errno.EMFILE, "Too many open files")
        return kernels()

    with monkeypatch.context() as full:
        full.setattr(socket, "socketpair", pair)
        with pytest.raises(OSError, match="Too many open files"):
            async with forked(server):
                pass
    async with forked(server) as (second, end_second):
        end_second()
        assert await second.wait() == 0


def _parent(process: int | None) -> int:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("PPid:")[2].split()[0])
