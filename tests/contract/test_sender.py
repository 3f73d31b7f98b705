"""A hub that goes silent costs a deadline, not the process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.eventhub.aio import EventHubProducerClient
from ports import unused_port

from local.eventhubs import EventHubs
from shared.contracts.errors import TransientError
from shared.contracts.messages import SegmentReady
from shared.hubs import publisher as publisher_module
from shared.hubs.publisher import Publisher
from shared.hubs.sender import Sender
from splitter.intake import forwarding

pytestmark = pytest.mark.asyncio(loop_scope="session")
SILENT = (
    "Endpoint=sb://localhost:{port};SharedAccessKeyName=n;SharedAccessKey=k;"
    "UseDevelopmentEmulator=true;"
)
MESSAGE = SegmentReady(job_id="sender", chunk=1, frames=1)


@pytest_asyncio.fixture(loop_scope="session")
async def silent() -> AsyncIterator[str]:
    """A peer that takes connections and never says a word, as one behind a NAT that forgot it."""

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        yield SILENT.format(port=server.sockets[0].getsockname()[1])


# The SDK leaves a connection that it is still opening when it is cancelled to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_silent_connection_is_thrown_away_and_the_next_one_serves(
    silent: str, eventhub_connection: str
) -> None:
    connections = [silent, eventhub_connection]

    async def connect() -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(
            connections.pop(0), eventhub_name="segments"
        )

    async with Sender("segments", connect, deadline_s=2) as sender:
        publisher = Publisher(sender)
        with pytest.raises(TransientError, match="hub segments did not answer within 2 s"):
            await publisher.to_partition(MESSAGE, "0")
        # What lives may take its time.
        sender._deadline_s = 60
        before = await publisher.newest("0")
        await publisher.to_partition(MESSAGE, "0")
        assert await publisher.newest("0") > before
    assert connections == []
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_delivery_that_event_grid_waits_for_in_vain_comes_in_at_the_next_try(
    silent: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = [silent, eventhub_connection]
    monkeypatch.setattr(forwarding, "_DEADLINE_S", 2.0)

    async def connect() -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(
            connections.pop(0), eventhub_name="uploads"
        )

    async with Sender("uploads", connect, deadline_s=30) as sender:
        intake = forwarding.Intake(sender)
        with pytest.raises(TransientError, match="did not answer within 2 s"):
            await intake.put([b"{}"])
        monkeypatch.setattr(forwarding, "_DEADLINE_S", 30.0)
        await intake.put([b"{}"])
    assert connections == []
    gc.collect()


async def test_events_reach_every_partition_of_a_hub_that_was_recreated_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, counts = unused_port(), (4, 2, 8)
    connection = ""

    async def connect() -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(connection, eventhub_name="frames")

    async with Sender("frames", connect, deadline_s=30) as sender:
        publisher = Publisher(sender)
        monkeypatch.setattr(publisher_module, "KNOWN_S", 0.0)
        for count in counts:
            async with EventHubs(tmp_path / str(count), hubs={"frames": count}, port=port) as hubs:
                connection = hubs.connection_string
                partitions = await publisher.partitions()
                assert len(partitions) == count
                await publisher.to_partition(MESSAGE, partitions[-1])
                assert await publisher.newest(partitions[-1]) == 0
