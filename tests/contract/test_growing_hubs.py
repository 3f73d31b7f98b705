"""Hubs that are given more partitions in place, as Event Hubs allows on its dedicated tiers."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient
from contract.conftest import broker
from hub_reader import HUB, reader_of, send
from ports import unused_port

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


def _grow(folder: Path, partitions: int) -> None:
    """Give a stopped broker's hub more partitions; it was created when it was, and keeps all."""
    listed = folder / "hubs" / "hubs.json"
    (hub,) = json.loads(listed.read_text())["hubs"]
    # As a person may write it: without a checksum
    listed.write_text(json.dumps({"version": 2, "hubs": [{**hub, "partitions": partitions}]}))


async def test_partitions_that_a_hub_is_given_are_read_without_a_restart(
    storage_connection: str, tmp_path: Path
) -> None:
    port = unused_port()
    async with (
        BlobServiceClient.from_connection_string(storage_connection) as blobs,
        contextlib.AsyncExitStack() as reading,
    ):
        async with broker(tmp_path, port, {HUB: 1}) as connection:
            reader = await reader_of(storage_connection, connection, blobs)
            await send(reader, "0", 1, 2)
            await reading.enter_async_context(reader.reading(patience_s=2))
            first, _ = await reader.until(2)
            first.done()
            await reader.checkpoint_is(lambda found: found.get("0") == 0)
        _grow(tmp_path, 3)
        async with broker(tmp_path, port, {HUB: 3}):
            await send(reader, "2", 3)
            # What is finished is not read again, and what is not comes again
            *_, again, new = await reader.until(4)
            await reading.aclose()
    assert {(d.partition_id, d.sequence_number) for d in (again, new)} == {("0", 1), ("2", 0)}
