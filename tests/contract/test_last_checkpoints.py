"""A consumer that leaves waits until storage has its last checkpoint, and others its partitions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.eventhub.aio._eventprocessor.event_processor import EventProcessor
from hub_reader import Reader, send

from shared.hubs.positions import ForwardCheckpointStore

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_consumer_ends_after_its_last_checkpoint_though_its_round_of_claims_ends_before(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, write = EventProcessor.start, ForwardCheckpointStore.update_checkpoint
    over = asyncio.Event()

    async def noted(self: EventProcessor) -> None:
        await start(self)
        over.set()

    async def late(self: ForwardCheckpointStore, *args: Any, **options: Any) -> None:
        await over.wait()
        await asyncio.sleep(1)  # storage takes its time
        await write(self, *args, **options)

    monkeypatch.setattr(EventProcessor, "start", noted)
    monkeypatch.setattr(ForwardCheckpointStore, "update_checkpoint", late)
    await send(reader, "0", 0, 1)
    async with reader.reading(interval_s=3600):
        deliveries = await reader.until(2)
        for delivery in deliveries:
            delivery.done()
    assert (await reader.checkpoints()).get("0") == deliveries[-1].sequence_number
    blobs = [blob async for blob in reader.container.list_blobs(include=["metadata"])]
    owners = [blob.metadata["ownerid"] for blob in blobs if "/ownership/" in blob.name]
    assert len(owners) == 2
    assert not any(owners), "its partitions are free for others"
