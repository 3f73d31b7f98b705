"""What KEDA would do, computed from checkpoints that the real services write in a real hub."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import BlobServiceClient
from contract.conftest import broker
from prometheus_client import CollectorRegistry
from serving import serving
from videos import Video

from assembler import service as assembler
from assembler.metrics import AssemblerMetrics
from assembler.settings import AssemblerSettings
from deploy.scaling.autoscaler import SYNC_S, Autoscaler, ScalingRule
from deploy.scaling.keda import Lag, Partition, lag_of
from deploy.scaling.lag import look, report
from local.stack import CONTAINERS
from local.watcher import UploadWatcher
from shared.service import checkpoints
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.settings import ServiceSettings
from shared.storage.blobs import BlobStore
from shared.telemetry.metrics import WorkMetrics
from splitter import service as splitter
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings
from stylizer import service as stylizer
from stylizer.metrics import StylizerMetrics
from stylizer.settings import StylizerSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0
CHUNK_FRAMES, CHUNKS = 4, 12
RULE = ScalingRule(
    threshold=5,
    activation=0,
    least=0,
    most=2,
    polling_s=15,
    cooldown_s=300,
    down_window_s=60,
    down_pods=1,
    down_period_s=60,
)


class Bench:
    """A broker and containers of this test's own, seen with KEDA's eyes."""

    def __init__(self, settings: ServiceSettings, clients: AzureClients) -> None:
        self.settings = settings
        self.clients = clients

    def reads(self, hub: str) -> None:
        """Have stylizers read ``hub``."""
        self.settings = self.settings.model_copy(update={"frames_hub": hub})

    async def partitions(self, hub: str) -> dict[str, Partition]:
        client = await self.clients.keep(await self.clients.producer(hub))
        blobs = await self.clients.blobs()
        container = blobs.get_container_client(self.settings.checkpoints_container(hub))
        return await look(client, container, self.settings)

    async def lag(self, hub: str) -> Lag:
        return lag_of((await self.partitions(hub)).values())

    async def until(self, hub: str, wanted: Callable[[int], bool]) -> list[int]:
        """Wait for a lag; return all that were seen on the way, without repetition."""
        seen: list[int] = []
        async with asyncio.timeout(DEADLINE_S):
            while not seen or not wanted(seen[-1]):
                events = (await self.lag(hub)).events
                if seen[-1:] != [events]:
                    seen.append(events)
        return seen

    async def send(self, hub: str, partition: str, *bodies: str) -> None:
        producer = await self.clients.keep(await self.clients.producer(hub))
        await producer.send_batch([EventData(body) for body in bodies], partition_id=partition)

    async def prepare(self, hub: str) -> int:
        client = await self.clients.keep(await self.clients.producer(hub))
        return await checkpoints.prepare(
            client, BlobStore(await self.clients.blobs()), self.settings
        )

    async def read(self, hub: str, count: int) -> list[str]:
        """Read with the SDK from the checkpoints, and where there is none from now on."""
        settings = self.settings
        assert settings.storage_connection_string
        assert settings.eventhub_connection_string
        store = BlobCheckpointStore.from_connection_string(
            settings.storage_connection_string.get_secret_value(),
            settings.checkpoints_container(hub),
        )
        client = EventHubConsumerClient.from_connection_string(
            settings.eventhub_connection_string.get_secret_value(),
            settings.consumer_group,
            eventhub_name=hub,
            checkpoint_store=store,
            load_balancing_interval=0.5,
        )
        bodies: list[str] = []
        all_read = asyncio.Event()

        async def note(_: Any, event: EventData) -> None:
            bodies.append(event.body_as_str())
            if len(bodies) >= count:
                all_read.set()

        async with store, client:
            reading = asyncio.create_task(client.receive(note, starting_position="@latest"))
            async with asyncio.timeout(DEADLINE_S):
                await all_read.wait()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return sorted(bodies)


@pytest_asyncio.fixture(scope="module", loop_scope="session", name="broker")
async def own_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A broker whose hubs nobody else sends to, so that every lag is known."""
    hubs = {"uploads": 2, "frames": 4, "segments": 2, "fresh": 2, "anew": 1}
    async with broker(tmp_path_factory.mktemp("scaling"), hubs=hubs) as connection:
        yield connection


@pytest_asyncio.fixture(loop_scope="session")
async def bench(storage_connection: str, broker: str) -> AsyncIterator[Bench]:
    name = uuid.uuid4().hex[:8]
    containers = {
        f"{container.replace('-', '_')}_container": f"{container}{name}" for container in CONTAINERS
    }
    settings = ServiceSettings(
        storage_connection_string=storage_connection,
        eventhub_connection_string=broker,
        consumer_group=f"G{name}",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=5,
        checkpoint_interval_s=0.1,
        **containers,
    )
    async with BlobServiceClient.from_connection_string(storage_connection) as blobs:
        for container in containers.values():
            await blobs.create_container(container)
    async with AzureClients(settings) as clients:
        yield Bench(settings, clients)


async def test_a_prepared_position_makes_the_sdk_begin_with_the_first_event(bench: Bench) -> None:
    bench.reads("fresh")
    await bench.send("fresh", "0", "a", "b")
    await bench.send("fresh", "1", "c")

    assert await bench.prepare("fresh") == 2

    assert {p.checkpoint for p in (await bench.partitions("fresh")).values()} == {-1}
    assert (await bench.lag("fresh")).events == 3
    # The reader would begin at the end if it did not heed the position
    assert await bench.read("fresh", 3) == ["a", "b", "c"]
    # And what was prepared once is left alone
    assert await bench.prepare("fresh") == 0


async def test_a_position_of_an_earlier_hub_is_forgotten(bench: Bench) -> None:
    bench.reads("anew")
    await bench.send("anew", "0", "a", "b")
    blobs = await bench.clients.blobs()
    name = checkpoints.checkpoint_blob(bench.settings, "anew", "0")
    container = bench.settings.checkpoints_container("anew")
    await blobs.get_blob_client(container, name).upload_blob(
        b"", metadata={"offset": "123456", "sequencenumber": "1000"}
    )
    # Which KEDA takes for a position slightly ahead of what it knows: nothing to do
    assert (await bench.lag("anew")).events == 0

    assert await bench.prepare("anew") == 1

    assert (await bench.lag("anew")).events == 2
    assert await bench.read("anew", 2) == ["a", "b"]


@contextlib.asynccontextmanager
async def running(
    bench: Bench,
    service: ModuleType,
    settings_type: type[ServiceSettings],
    new_metrics: Callable[[CollectorRegistry], WorkMetrics],
    **chosen: object,
) -> AsyncIterator[None]:
    """Run a service in this loop, and drain it in the end as SIGTERM does."""
    given = bench.settings.model_dump(exclude_unset=True) | chosen
    async with AzureClients(settings := settings_type(**given)) as clients:
        metrics = new_metrics(CollectorRegistry())
        built = await service.build(settings, clients, metrics, Health())
        async with serving(built):
            yield


@pytest.mark.slow
@pytest.mark.timeout(300)  # three services in turn, on a machine that may have other work
async def test_a_pool_goes_from_zero_to_many_and_back_with_a_job(
    bench: Bench, storage_connection: str, broker: str
) -> None:
    pool, now_s = Autoscaler(RULE), 0.0

    # Before any service has ever started, the job of deploy/kubernetes prepares all positions
    await checkpoints.prepare_all(bench.settings)
    for hub in ("uploads", "frames", "segments"):
        assert {p.checkpoint for p in (await bench.partitions(hub)).values()} == {-1}
        assert not (await bench.lag(hub)).wakes()
    assert pool.look(now_s, await bench.lag("frames"), 0) == 0
    lines = await report(bench.settings)
    assert lines[:2] == [
        "uploads: lag 0, the pool may be at zero",
        "   0: events -1 to -1, checkpoint -1, lag 0",
    ]

    # An upload wakes the splitter, and its chunks wake the stylizers
    video = Video(frames=CHUNK_FRAMES * CHUNKS, size=(64, 36)).make()
    blobs = await bench.clients.blobs()
    upload = blobs.get_blob_client(bench.settings.uploads_container, "v.mp4")
    await upload.upload_blob(video)
    watcher = UploadWatcher(
        storage_connection, broker, uploads_container=bench.settings.uploads_container
    )
    watching = asyncio.create_task(watcher.run())
    await bench.until("uploads", lambda lag: lag == 1)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    chunking = {"chunk_frames": CHUNK_FRAMES, "first_chunk_frames": CHUNK_FRAMES}
    async with running(bench, splitter, SplitterSettings, SplitterMetrics, **chunking):
        await bench.until("uploads", lambda lag: lag == 0)
    lag = await bench.lag("frames")
    assert lag == Lag(CHUNKS, 4)
    now_s += SYNC_S
    replicas = pool.look(now_s, lag, 0)
    assert replicas == RULE.most == 2

    # They paint; the lag goes down to nothing, and is nothing still when they are gone
    painting = (bench, stylizer, StylizerSettings, StylizerMetrics)
    async with running(*painting, lanes=1), running(*painting, lanes=1):
        seen = await bench.until("frames", lambda lag: lag == 0)
    for events in seen:
        now_s += SYNC_S
        replicas = pool.look(now_s, Lag(events, 4), replicas)
        assert 1 <= replicas <= RULE.most
    assert seen == sorted(seen, reverse=True)
    for partition in (await bench.partitions("frames")).values():
        assert partition.checkpoint == partition.last

    # Idle, the pool shrinks, and when the cooldown is over it sleeps
    idle_s, lag = 0.0, await bench.lag("frames")
    while replicas:
        idle_s += SYNC_S
        replicas = pool.look(now_s + idle_s, lag, replicas)
        assert idle_s <= RULE.cooldown_s

    # The job is still open, which keeps an assembler awake until its result is there
    assert (await bench.lag("segments")).wakes()
    async with running(bench, assembler, AssemblerSettings, AssemblerMetrics):
        await bench.until("segments", lambda lag: lag == 0)
    results = blobs.get_container_client(bench.settings.results_container)
    assert [blob.name async for blob in results.list_blobs()] == ["v.starry-night.mp4"]
