"""The exporter on a real broker and a real storage: what it reports while pools are at zero."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from azure.eventhub import EventData
from azure.storage.blob.aio import BlobServiceClient
from prometheus_client import CollectorRegistry

from exporter import service
from exporter.metrics import ExporterMetrics
from exporter.service import HubWatch, export, readers
from exporter.settings import ExporterSettings
from local.stack import CONTAINERS
from shared.hubs.delivery import Delivery
from shared.service import checkpoints
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import reader
from shared.storage.blobs import BlobStore
from shared.telemetry.metrics import WorkMetrics

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 90.0


class Exporter:
    """An exporter beside hubs and containers of this test's own."""

    def __init__(self, settings: ExporterSettings, clients: AzureClients) -> None:
        self.settings = settings
        self.clients = clients
        self.health = Health()
        self.registry = CollectorRegistry()

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"stylestream_{name}", labels)

    def of(self, service: str, name: str) -> float | None:
        return self.value(name, service=service, hub=getattr(self.settings, HUBS[service]))

    async def until(self, service: str, name: str, wanted: float) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.of(service, name) != wanted:
                await asyncio.sleep(0.02)

    async def send(self, hub: str, *bodies: str) -> None:
        producer = await self.clients.keep(await self.clients.producer(hub))
        await producer.send_batch([EventData(body) for body in bodies], partition_id="0")


HUBS = {"splitter": "uploads_hub", "stylizer": "frames_hub", "assembler": "segments_hub"}


@pytest_asyncio.fixture(loop_scope="session")
async def exporter(storage_connection: str, eventhub_connection: str) -> AsyncIterator[Exporter]:
    name = uuid.uuid4().hex[:8]
    containers = {f"{one.replace('-', '_')}_container": f"{one}{name}" for one in CONTAINERS}
    settings = ExporterSettings(
        storage_connection_string=storage_connection,
        eventhub_connection_string=eventhub_connection,
        consumer_group="stylestream",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=3,
        checkpoint_interval_s=0.1,
        look_interval_s=0.3,
        uploads_interval_s=0.3,
        **containers,
    )
    async with BlobServiceClient.from_connection_string(storage_connection) as blobs:
        for container in containers.values():
            await blobs.create_container(container)
    async with AzureClients(settings) as clients:
        running = Exporter(settings, clients)
        task = asyncio.create_task(export(settings, clients, running.registry, running.health))
        yield running
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_events_that_nobody_reads_wait_and_age(exporter: Exporter) -> None:
    await checkpoints.prepare_all(exporter.settings)
    await exporter.until("stylizer", "backlog_events", 0)
    assert exporter.of("stylizer", "backlog_age_seconds") == 0
    assert exporter.of("stylizer", "hub_owned_partitions") == 0
    assert exporter.of("stylizer", "hub_partitions") == 4

    sent_s = time.time()
    await exporter.send("frames", "a", "b", "c")
    await exporter.until("stylizer", "backlog_events", 3)

    async with asyncio.timeout(DEADLINE_S):
        while not (age_s := exporter.of("stylizer", "backlog_age_seconds")) or age_s < 1.0:
            await asyncio.sleep(0.02)
    assert age_s <= time.time() - sent_s
    left_s = exporter.of("stylizer", "backlog_retention_left_seconds")
    assert left_s == pytest.approx(72 * 3600 - age_s, abs=1.0)
    await exporter.until("splitter", "backlog_events", 0)


@pytest.mark.parametrize("spoilt", [{"offset": "-1"}, {"offset": "-1", "sequencenumber": ""}])
async def test_a_position_that_cannot_be_read_counts_as_none(
    exporter: Exporter, spoilt: dict[str, str]
) -> None:
    name = checkpoints.checkpoint_blob(exporter.settings, "frames", "0")
    blobs = BlobStore(await exporter.clients.storage())
    container = exporter.settings.frames_checkpoints_container
    await blobs.create(container, name, b"", metadata=spoilt)
    await exporter.send("frames", "a", "b")
    await exporter.until("stylizer", "backlog_events", 2)


async def test_a_service_that_reads_reduces_the_backlog_and_is_counted_as_an_owner(
    exporter: Exporter,
) -> None:
    await exporter.send("frames", "a", "b")
    await exporter.until("stylizer", "backlog_events", 2)

    async def work(delivery: Delivery) -> None:
        delivery.done()

    consumer = reader(
        exporter.settings.frames_hub,
        work,
        exporter.settings,
        BlobStore(await exporter.clients.blobs()),
        exporter.clients,
        WorkMetrics(CollectorRegistry(), "stylizer"),
        Health(),
    )
    reading = asyncio.create_task(consumer.run())
    await exporter.until("stylizer", "backlog_events", 0)
    await exporter.until("stylizer", "hub_owned_partitions", 4)
    # The exporter's looking has put nobody off.
    await exporter.send("frames", "c")
    await exporter.until("stylizer", "hub_finished_events", 3)

    consumer.drain()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await exporter.until("stylizer", "hub_owned_partitions", 0)


async def test_an_upload_that_nobody_announces_is_seen(exporter: Exporter) -> None:
    await exporter.until("splitter", "backlog_events", 0)
    blobs = await exporter.clients.media_blobs()
    container = blobs.get_container_client(exporter.settings.uploads_container)
    await container.upload_blob("empty-folder", b"")
    async with asyncio.timeout(DEADLINE_S):
        while exporter.value("uploads_unannounced_seconds") is None:
            await asyncio.sleep(0.02)
    assert exporter.value("uploads_unannounced_seconds") == 0

    await container.upload_blob("v.mp4", b"video")
    async with asyncio.timeout(DEADLINE_S):
        while not exporter.value("uploads_unannounced_seconds"):
            await asyncio.sleep(0.02)

    # Storage tells a blob's time to the second.
    await asyncio.sleep(1.0)
    await exporter.send("uploads", "an announcement")
    async with asyncio.timeout(DEADLINE_S):
        while exporter.value("uploads_unannounced_seconds"):
            await asyncio.sleep(0.02)


async def test_an_unavailable_hub_is_reported_as_unavailable(exporter: Exporter) -> None:
    await exporter.until("splitter", "backlog_events", 0)
    assert exporter.health.ready == (True, "ready")

    # A container of positions that is gone: the exporter waits for it as for any dependency.
    blobs = await exporter.clients.blobs()
    await blobs.delete_container(exporter.settings.uploads_checkpoints_container)
    hub = {"dependency": "hub of splitter"}
    async with asyncio.timeout(DEADLINE_S):
        while exporter.registry.get_sample_value("exporter_dependency_up", hub) != 0:
            await asyncio.sleep(0.02)

    assert "hub of splitter: cannot" in exporter.health.ready[1]
    # What was seen before stays, with its time.
    assert exporter.of("splitter", "backlog_events") == 0


async def test_uploads_are_judged_by_the_newest_event_that_is_known_whatever_fails(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, metrics = exporter.settings, ExporterMetrics(CollectorRegistry())
    blobs = BlobStore(await exporter.clients.storage())
    client = await exporter.clients.keep(
        await exporter.clients.onlooker(settings.uploads_hub, settings.onlooker_group)
    )
    hub = HubWatch(readers(settings)[0], client, blobs, settings, metrics)
    await hub.measure()
    assert hub.newest_s == 0

    async def fail(*_: object) -> float:
        raise ValueError("unforeseen")

    await exporter.send("uploads", "an announcement")
    monkeypatch.setattr(service, "oldest_s", fail)
    with pytest.raises(ValueError, match="unforeseen"):
        await hub.measure()
    assert hub.newest_s
    monkeypatch.setattr(service, "measure_backlog", fail)
    with pytest.raises(ValueError, match="unforeseen"):
        await hub.measure()
    assert hub.newest_s is None
