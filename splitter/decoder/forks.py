"""Starts decoders as forks of one process that is ready: see `splitter.decoder.fork_server`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Final, Literal, Self

from splitter.decoder.fork_server import EXIT_CODE

Work = Literal[b"d", b"t"]
"""What a fork is for: to decode one upload, or to try whether the sandbox holds."""

DECODE: Final = b"d"
TRIAL: Final = b"t"

_COMMAND: Final = (sys.executable, "-P", "-s", "-m", "splitter.decoder.sandbox")
_ROOT: Final = Path(__file__).resolve().parents[2]
_KEPT_VARIABLES: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class ForkServer:
    """Runs the process that decoders are forked from, and runs it anew if it was ended.

    It is started on entering, and while it loads, requests wait. Leaving ends it with its forks.
    """

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        self._command = command
        self._process: Process | None = None
        self._requests: socket.socket | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._run()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._end()

    async def fork(self, work: Work) -> Fork:
        """Return a fork that begins with ``work``; its owner stops it."""
        ours: list[socket.socket] = []
        outputs: list[int] = []
        theirs: list[int] = []
        try:
            for _ in ("input", "leash"):
                here, there = socket.socketpair()
                ours.append(here)
                theirs.append(there.detach())
            for _ in ("output", "error"):
                here_fd, there_fd = os.pipe()
                outputs.append(here_fd)
                theirs.insert(-1, there_fd)
            await self._request(work, theirs)
        except BaseException:
            for end in ours:
                end.close()
            for file in outputs:
                os.close(file)
            raise
        finally:
            for file in theirs:
                os.close(file)
        return await Fork.opened(ours[0], outputs, ours[1])

    async def _request(self, work: Work, files: list[int]) -> None:
        async with self._starting:
            requests = self._requests or await self._run()
            try:
                socket.send_fds(requests, [work], files)
            except (BrokenPipeError, ConnectionResetError):
                await self._end()
                socket.send_fds(await self._run(), [work], files)

    async def _run(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._requests = ours
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        return ours

    async def _end(self) -> None:
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Fork:
    """A process on the other side of three channels, and the leash that it is held by."""

    def __init__(
        self,
        connection: socket.socket,
        output: asyncio.StreamReader,
        errors: asyncio.StreamReader,
        leash: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        pipes: tuple[asyncio.ReadTransport, ...],
    ) -> None:
        self.connection = connection
        """Its standard input; whoever opens a stream on it closes it."""
        self.output = output
        self.errors = errors
        self._leash = leash
        self._pipes = pipes
        self._code: asyncio.Task[int | None] = asyncio.create_task(self._ending())

    @classmethod
    async def opened(
        cls, connection: socket.socket, outputs: list[int], leash: socket.socket
    ) -> Self:
        """Return the fork behind these ends of its channels."""
        loop = asyncio.get_running_loop()
        readers: list[asyncio.StreamReader] = []
        pipes: list[asyncio.ReadTransport] = []
        for file in outputs:
            reader = asyncio.StreamReader()
            transport, _ = await loop.connect_read_pipe(
                lambda reader=reader: asyncio.StreamReaderProtocol(reader),  # type: ignore[misc]
                os.fdopen(file, "rb", buffering=0),
            )
            readers.append(reader)
            pipes.append(transport)
        held = await asyncio.open_connection(sock=leash)
        return cls(connection, readers[0], readers[1], held, tuple(pipes))

    async def wait(self) -> int | None:
        """Return its exit code, negative for a signal; None when the fork server died first."""
        return await asyncio.shield(self._code)

    async def stop(self) -> None:
        """End it if it still runs, and close what is open to it; returns when it is gone."""
        _, writer = self._leash
        with contextlib.suppress(OSError):
            writer.write_eof()
        await self.wait()
        for pipe in self._pipes:
            pipe.close()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _ending(self) -> int | None:
        reader, _ = self._leash
        try:
            (code,) = EXIT_CODE.unpack(await reader.readexactly(EXIT_CODE.size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return int(code)


def _environment() -> dict[str, str]:
    """Return an environment without anything that is not needed, secrets above all."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # One thread per library: those that split are the process's own. One arena or two: each claims
    # 64 MiB of address space, which is limited.
    return kept | {
        "PYTHONPATH": str(_ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }
