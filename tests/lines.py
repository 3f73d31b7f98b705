"""A connection that can become slow, or go silent."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Line:
    """Carries bytes to a port, and can forget the connections that it has, as a NAT does."""

    def __init__(self, target: int) -> None:
        self.falls_silent_at = b""
        self.silences = 0
        """So many connections that carry `falls_silent_at` carry nothing from then on."""
        self.bytes_per_s = 0
        """Limits the speed towards the port; 0 does not."""
        self._target = target
        self._silent: list[asyncio.Event] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def silence(self) -> None:
        for silent in self._silent:
            silent.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        silent = asyncio.Event()
        self._silent.append(silent)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(
                self._pipe(reader, back, silent, slow=True), self._pipe(there, writer, silent)
            )
        finally:
            for end in (writer, back):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pipe(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        silent: asyncio.Event,
        *,
        slow: bool = False,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if self.silences and not silent.is_set() and self.falls_silent_at in data:
                    self.silences -= 1
                    silent.set()
                if slow and self.bytes_per_s:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                if not silent.is_set():
                    sink.write(data)
                    await sink.drain()
