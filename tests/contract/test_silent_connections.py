"""A consumer replaces connections that have gone silent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from hub_reader import HUB, Reader, send
from lines import Line
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
