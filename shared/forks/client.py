"""Starts processes as forks of one that has loaded everything: see `shared.forks.server`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from shared.forks.server import BEGUN, FILES, MESSAGE


class ForkServer:
    """Runs the process that others are forked from, and restarts it if it has ended.

    It is started on entering or with the first fork; while it loads, requests wait. Leaving ends it
    and its forks. ``environment`` is its whole environment; its standard error is ours, or goes to
    the file ``log``.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path | None = None
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._process: Process | None = None
        self._requests: socket.socket | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._run()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.end()

    async def start(self, work: bytes, files: Sequence[int]) -> Leash:
        """Start a fork with the byte ``work``; ``files`` are its standard input, output, error."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                await self._request(work, [*files, theirs.fileno()])
            return await Leash.opened(ours)
        except BaseException:
            ours.close()
            raise

    async def end(self) -> None:
        """End the process and its forks, if it runs; return once it is gone."""
        # In this order: without requests it ends by itself, and of a process that has just ended,
        # killing it may take the exit code away from asyncio.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._requests is not None:
            self._requests.close()

    async def _request(self, work: bytes, files: Sequence[int]) -> None:
        if (len(work), len(files)) != (1, FILES):
            raise ValueError(f"a request is one byte and {FILES} files")
        async with self._starting:
            requests = self._requests or await self._run()
            try:
                socket.send_fds(requests, [work], files)
            except (BrokenPipeError, ConnectionResetError):
                await self.end()
                self._requests = None  # in case that the next one cannot be started now
                socket.send_fds(await self._run(), [work], files)

    async def _run(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._requests = ours
        with theirs, contextlib.ExitStack() as closing:
            log = None if self._log is None else closing.enter_context(self._log.open("ab"))
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                env=dict(self._environment),
                start_new_session=True,
            )
        return ours


class Leash:
    """Our end of a fork's leash: the fork is killed when this is cut, or when we end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._begun: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._code = asyncio.create_task(self._follow())

    @classmethod
    async def opened(cls, connection: socket.socket) -> Self:
        """Return a leash over ``connection``."""
        return cls(*await asyncio.open_connection(sock=connection))

    async def begun(self) -> int | None:
        """Return the fork's process id once it runs; None if it never does."""
        return await asyncio.shield(self._begun)

    @property
    def code(self) -> int | None:
        """What `wait` returns; None as long as the fork may still run."""
        return self._code.result() if self._code.done() else None

    @property
    def has_ended(self) -> bool:
        """Whether the fork has ended, or the server has."""
        return self._code.done()

    async def wait(self) -> int | None:
        """Return its exit code, negative for a signal; None if it never ran, or the server died."""
        return await asyncio.shield(self._code)

    def cut(self) -> None:
        """Have the fork killed, if it still runs."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    async def stop(self) -> None:
        """End the fork if it still runs; return once it is gone."""
        self.cut()
        await self.wait()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _follow(self) -> int | None:
        try:
            while True:
                what, number = MESSAGE.unpack(await self._reader.readexactly(MESSAGE.size))
                if what != BEGUN:
                    return int(number)
                self._begun.set_result(number)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            self._writer.close()
            if not self._begun.done():
                self._begun.set_result(None)
