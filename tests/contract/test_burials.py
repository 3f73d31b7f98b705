"""An event that cannot even be laid aside is neither lost nor passed over in silence."""

from __future__ import annotations

import asyncio
import uuid
from types import SimpleNamespace

import pytest
from azure.eventhub import EventData
from prometheus_client import CollectorRegistry

from shared.hubs import workers as module
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery, Place
from shared.hubs.watermark import Watermark
from shared.hubs.workers import Workers
from shared.service.health import Health
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from splitter.metrics import SplitterMetrics

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]
REFUSED = "Storage never takes such a name"


def delivery(watermark: Watermark[Place]) -> Delivery:
    where = SimpleNamespace(partition_id="0", eventhub_name="frames", consumer_group="$Default")
    return Delivery(EventData(b"foreign"), where, watermark)


async def fail(_: Delivery) -> None:
    raise ValueError("foreign")


async def test_an_event_that_cannot_be_laid_aside_is_tried_until_it_can(
    storage_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.05)
    health, watermark, refused = Health(), Watermark[Place](), asyncio.Event()
    health.serving = True

    def report(dependency: str, problem: str | None) -> None:
        health.report(dependency, problem)
        (refused.set if problem else refused.clear)()

    async with storage_client(storage_connection, None, None) as client:
        container = f"t{uuid.uuid4().hex[:8]}"
        await client.create_container(container)
        letters = DeadLetters(BlobStore(client), REFUSED, "frames")
        workers = Workers(1, fail, letters, SplitterMetrics(CollectorRegistry()), report)
        await workers.take(delivery(watermark))
        await refused.wait()
        assert "dead letters" in health.ready[1]
        assert (health.ready[0], watermark.unfinished) == (False, 1)

        letters._container = container
        await workers.finish()
        assert await BlobStore(client).exists(container, "frames/0/0.json")
    assert (health.ready[0], watermark.unfinished) == (True, 0)


async def test_a_service_that_drains_leaves_such_an_event_to_the_next(
    storage_connection: str,
) -> None:
    watermark, refused = Watermark[Place](), asyncio.Event()

    def report(_: str, problem: str | None) -> None:
        if problem:
            refused.set()

    async with storage_client(storage_connection, None, None) as client:
        letters = DeadLetters(BlobStore(client), REFUSED, "frames")
        workers = Workers(1, fail, letters, SplitterMetrics(CollectorRegistry()), report)
        await workers.take(delivery(watermark))
        await refused.wait()
        workers.drain()
        await workers.finish()
    assert watermark.unfinished == 1
