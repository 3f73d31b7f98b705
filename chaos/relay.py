"""A TCP proxy whose connections can be cut, held, silenced and slowed down.

What a network can do to a connection, from harmless to worst: it is *slow*; it is *held*, and later
goes on as if nothing had happened; it is *cut*, which both ends notice at once; or it is
*silenced*: no more bytes arrive, and neither end is notified.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Self, cast

_PIECE: Final = 64 * 1024
# What a broken connection raises, depending on what notices it first.
BROKEN: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)

Target = Callable[[], int | None]
"""Returns the port on loopback to connect to; None while there is none."""


class Line:
    """One client's connection, and the network conditions that affect it."""

    def __init__(self, relay: Relay, writer: asyncio.StreamWriter) -> None:
        self._relay = relay
        self._writer = writer
        self.open = asyncio.Event()
        self.silent = False
        self._cut = False
        if not relay.held:
            self.open.set()

    @property
    def client(self) -> int:
        """The client's TCP port."""
        return cast("int", self._writer.get_extra_info("peername", ("", 0))[1])

    async def clear(self) -> None:
        """Wait until the network lets data through.

        Raises:
            ConnectionResetError: the connection was cut, and data in transit is lost.
        """
        await self.open.wait()
        if self._cut:
            raise ConnectionResetError
        if self._relay.delay_s:
            await asyncio.sleep(self._relay.delay_s)

    def cut(self) -> None:
        """Reset the connection."""
        self._cut = True
        self._writer.transport.abort()
        self.open.set()


class Relay:
    """Passes bytes between clients and one target, byte for byte, under changing conditions."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._lines: set[Line] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.held = False
        self.delay_s = 0.0
        """How long every piece of data is delayed."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_PIECE)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Reset all connections."""
        for line in list(self._lines):
            line.cut()

    def hold(self) -> None:
        """Let nothing through until `release`."""
        self.held = True
        for line in self._lines:
            line.open.clear()

    def release(self) -> None:
        """Let through what was held, except on silenced connections."""
        self.held = False
        for line in self._lines:
            if not line.silent:
                line.open.set()

    def silence(self) -> None:
        """Let nothing more through on the existing connections; new ones are not affected."""
        for line in self._lines:
            line.silent = True
            line.open.clear()

    async def serve(
        self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one client until either side closes."""
        upstream, downstream = await self.connect()
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(_pump(line, reader, downstream, self.inspect))
                both_ways.create_task(_pump(line, upstream, writer))
        finally:
            downstream.transport.abort()

    def inspect(self, line: Line, data: bytes) -> None:
        """Inspect what a client sends, before it is passed on.

        Raises:
            ConnectionResetError: the client is to be disconnected.
        """

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the target.

        Raises:
            ConnectionError: the target is not reachable.
        """
        port = self._target()
        if port is None:
            raise ConnectionRefusedError
        return await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, line = asyncio.current_task(), Line(self, writer)
        assert task is not None
        self._serving.add(task)
        self._lines.add(line)
        try:
            # Whatever ends a connection ends it for both sides, and needs no report.
            with contextlib.suppress(*BROKEN, ExceptionGroup, asyncio.CancelledError):
                await self.serve(line, reader, writer)
        finally:
            writer.transport.abort()
            self._lines.discard(line)
            self._serving.discard(task)


async def _pump(
    line: Line,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inspect: Callable[[Line, bytes], None] | None = None,
) -> None:
    while data := await reader.read(_PIECE):
        if inspect is not None:
            inspect(line, data)
        await line.clear()
        writer.write(data)
        await writer.drain()
    # A half-closed AMQP connection is useless: the end of one direction ends both.
    raise ConnectionResetError
