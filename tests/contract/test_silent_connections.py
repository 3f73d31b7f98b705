"""A consumer replaces connections that have gone silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from hub_reader import HUB, Reader, send
from pydantic import SecretStr
from structlog.testing import capture_logs

from shared.hubs.queries import has_events_after
from shared.service.checkpoints import HubPositions

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTITIONS = 2


async def test_a_consumer_whose_connection_died_without_a_word_makes_a_new_one(
    reader: Reader, eventhub_connection: str
) -> None:
    async with Line(port_of(eventhub_connection)) as line:
        lead_through(line, reader, eventhub_connection)
        async with reader.reading(patience_s=3):
            await send(reader, "0", 0)
            await reader.until(1)
            # When the connections that there are carry nothing any more, and new ones do
            line.silence()
            await send(reader, "0", 1)
            # Then the event that nobody brought is found to be there, and read
            await reader.until(2)
    rebuilds = reader.metrics.get_sample_value("test_consumer_rebuilds_total", {"hub": HUB})
    assert rebuilds


async def test_a_consumer_that_gets_no_list_of_partitions_makes_a_new_connection(
    reader: Reader, eventhub_connection: str
) -> None:
    await send(reader, "0", 0)
    async with Line(port_of(eventhub_connection)) as line:
        lead_through(line, reader, eventhub_connection)
        # When the connections fall silent that first ask for the hub's creation and its partitions
        line.falls_silent_at, line.silences = b"$management", 2
        with capture_logs() as said:
            async with reader.reading(patience_s=2):
                await reader.until(1)
    assert "no partition claimed; reconnecting" in {e["event"] for e in said}


async def test_an_idle_consumer_looks_its_positions_up_once(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up, reached = [0], HubPositions.reached
    asked, compared = [0], asyncio.Event()

    async def counted(self: HubPositions) -> Mapping[str, int]:
        looked_up[0] += 1
        return await reached(self)

    async def noted(*question: Any) -> bool:
        asked[0] += 1
        if asked[0] > 6 * PARTITIONS:
            compared.set()
        return await has_events_after(*question)

    monkeypatch.setattr(HubPositions, "reached", counted)
    monkeypatch.setattr("shared.hubs.consumer.has_events_after", noted)
    async with asyncio.timeout(60), reader.reading(patience_s=0.5):
        await compared.wait()
    assert looked_up[0] <= PARTITIONS, "once for each of the claims"
    assert not reader.metrics.get_sample_value("test_consumer_rebuilds_total", {"hub": HUB})


def port_of(connection: str) -> int:
    return int(urlsplit(connection.split("=", 1)[1].split(";", maxsplit=1)[0]).port or 0)


def lead_through(line: Line, reader: Reader, connection: str) -> None:
    through = connection.replace(f":{port_of(connection)}", f":{line.port}")
    reader.settings = reader.settings.model_copy(
        update={"eventhub_connection_string": SecretStr(through)}
    )


class Line:
    """Carries bytes to a port, and can forget the connections that it has, as a NAT does."""

    def __init__(self, target: int) -> None:
        self.falls_silent_at = b""
        self.silences = 0
        """So many connections that carry `falls_silent_at` carry nothing from then on."""
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
                self._pipe(reader, back, silent), self._pipe(there, writer, silent)
            )
        finally:
            for end in (writer, back):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pipe(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, silent: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                if self.silences and not silent.is_set() and self.falls_silent_at in data:
                    self.silences -= 1
                    silent.set()
                if not silent.is_set():
                    sink.write(data)
                    await sink.drain()
