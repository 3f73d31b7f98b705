"""Start decoders as forks of one warm process; see `shared.forks`.

That process has an environment without secrets, and never reads a byte of an upload. A decoder is
confined only after its fork (`splitter.decoder.confinement`), so that each has its own folder and
limits.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from shared.forks import client
from shared.forks.client import Leash
from splitter.decoder.wire import Work

_COMMAND: Final = (sys.executable, "-P", "-s", "-m", "splitter.decoder.sandbox")
_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class ForkServer(client.ForkServer):
    """Runs the process that decoders are forked from."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        super().__init__(command, _environment())

    async def fork(self, work: Work) -> Fork:
        """Start a fork that does ``work``; the caller must stop it."""
        with ExitStack() as ours, ExitStack() as given:
            connection, theirs = socket.socketpair()
            ours.callback(connection.close)
            files = [given.enter_context(theirs).fileno()]
            pipes: list[_Pipe] = []
            for _ in ("output", "error"):
                here, there = os.pipe()
                given.callback(os.close, there)
                files.append(there)
                pipes.append(await _read_from(here))
                ours.callback(pipes[-1].transport.close)
            # Last: from here on, only the caller can end it.
            leash = await self.start(work, files)
            ours.pop_all()
        return Fork(connection, pipes[0], pipes[1], leash)


class _Pipe(NamedTuple):
    reader: asyncio.StreamReader
    transport: asyncio.ReadTransport


async def _read_from(file: int) -> _Pipe:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(file, "rb", buffering=0)
    )
    return _Pipe(reader, transport)


class Fork:
    """A forked process: its three channels, and the leash that ends it."""

    def __init__(
        self, connection: socket.socket, output: _Pipe, errors: _Pipe, leash: Leash
    ) -> None:
        self.connection = connection
        """Its standard input; to be closed by whoever opens a stream on it."""
        self.output = output.reader
        self.errors = errors.reader
        self._leash = leash
        self._pipes = output.transport, errors.transport

    async def wait(self) -> int | None:
        """Return its exit code, negative for a signal; None if it never ran, or the server died."""
        return await self._leash.wait()

    async def stop(self) -> None:
        """Kill it if it still runs, close its pipes, and return when it is gone."""
        await self._leash.stop()
        for pipe in self._pipes:
            pipe.close()


def _environment() -> dict[str, str]:
    """Return an environment with only what is needed, and so without secrets."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # One thread per library: the splitting threads are the process's own. At most two arenas: each
    # reserves 64 MiB of address space, which is limited.
    return kept | {
        "PYTHONPATH": str(_ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }
