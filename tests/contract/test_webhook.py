"""Event Grid's deliveries over HTTP, into a real hub: what is taken, and what is answered."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from ports import unused_port
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from videos import Video

from local.azurite import connection_string
from shared.contracts.manifest import Manifest
from shared.hubs.sender import Sender
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.storage.blobs import BlobStore
from splitter import service as splitter
from splitter.intake.acceptance import Acceptance
from splitter.intake.forwarding import Intake
from splitter.intake.webhook import Webhook
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNT = "https://acc.blob.core.windows.net"
SECRET, SECRET_BEFORE = "s3cret-s3cret-s3cret", "before-before-before"
DEADLINE_S = 60.0
NOWHERE = (
    "Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k;"
    "UseDevelopmentEmulator=true;"
)


class Hub:
    """What lies in the hub of uploads, as a reader from its beginning sees it."""

    def __init__(self, producer: EventHubProducerClient, partitions: list[str]) -> None:
        self.producer = producer
        self._partitions = partitions
        self._bodies: list[str] = []
        self._arrived = asyncio.Condition()

    async def on_event(self, _context: PartitionContext, event: EventData) -> None:
        async with self._arrived:
            self._bodies.append(event.body_as_str())
            self._arrived.notify_all()

    async def content(self) -> list[str]:
        """Return all events that lie in the hub now: all those before a last one that is sent."""
        marks = set()
        for partition in self._partitions:
            # An event like any other, so that splitters of later tests have no trouble with it.
            event = {"specversion": "1.0", "type": "mark", "source": "tests", "data": {}}
            mark = json.dumps({**event, "id": uuid.uuid4().hex})
            await self.producer.send_batch([EventData(mark)], partition_id=partition)
            marks.add(mark)
        async with asyncio.timeout(DEADLINE_S), self._arrived:
            await self._arrived.wait_for(lambda: marks <= {*self._bodies})
        return self._bodies


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(eventhub_connection: str) -> AsyncIterator[Hub]:
    async with (
        EventHubProducerClient.from_connection_string(
            eventhub_connection, eventhub_name="uploads"
        ) as producer,
        EventHubConsumerClient.from_connection_string(
            eventhub_connection, "$Default", eventhub_name="uploads"
        ) as consumer,
    ):
        hub = Hub(producer, await producer.get_partition_ids())
        reading = asyncio.create_task(consumer.receive(hub.on_event, starting_position="-1"))
        yield hub
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@dataclass
class Door:
    """An open webhook for uploads into a container of its own, and the hub behind it."""

    container: str
    address: str
    session: aiohttp.ClientSession
    hub: Hub
    registry: CollectorRegistry

    def counted(self) -> dict[str, float]:
        """Return how many deliveries came to which outcome, of those that did."""
        return {
            sample.labels["outcome"]: sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "splitter_webhook_deliveries_total" and sample.value
        }

    async def post(
        self, content: object, *, secret: str | None = SECRET, query: str = "", **headers: str
    ) -> tuple[int, str]:
        """Deliver; return the answer's status and body."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if secret:
            headers["X-Webhook-Key"] = secret
        async with self.session.post(self.address + query, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def options(self, **headers: str) -> aiohttp.ClientResponse:
        """Ask for permission to deliver."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.options(self.address, headers=named) as answer:
            return answer

    async def in_hub(self) -> list[dict[str, Any]]:
        """Return the events about this container that lie in the hub now."""
        events = map(json.loads, await self.hub.content())
        return [event for event in events if self.container in str(event)]

    def cloud_event(self, name: str = "a.mp4", **changes: Any) -> dict[str, Any]:
        """Return an upload's event in the CloudEvents schema."""
        return {
            "specversion": "1.0",
            "type": "Microsoft.Storage.BlobCreated",
            "source": "/subscriptions/s/providers/Microsoft.Storage/storageAccounts/acc",
            "id": uuid.uuid4().hex,
            "time": "2026-11-18T15:13:39.4589254Z",
            **self._told(name),
            **changes,
        }

    def grid_event(self, name: str = "a.mp4", **changes: Any) -> dict[str, Any]:
        """Return an upload's event in Event Grid's own schema."""
        return {
            "topic": "/subscriptions/s/providers/Microsoft.Storage/storageAccounts/acc",
            "eventType": "Microsoft.Storage.BlobCreated",
            "id": uuid.uuid4().hex,
            "eventTime": "2026-11-18T15:13:39.4589254Z",
            "dataVersion": "",
            "metadataVersion": "1",
            **self._told(name),
            **changes,
        }

    def _told(self, name: str) -> dict[str, Any]:
        return {
            "subject": f"/blobServices/default/containers/{self.container}/blobs/{name}",
            "data": {
                "api": "PutBlob",
                "eTag": "0x8D4BCC2E4835CD0",
                "url": f"{ACCOUNT}/{self.container}/{name}",
            },
        }


@asynccontextmanager
async def open_door(hub: Hub, intake: Intake) -> AsyncIterator[Door]:
    """Open a webhook in front of a hub."""
    container = f"u{uuid.uuid4().hex}"
    chosen = SplitterSettings(
        storage_connection_string=SecretStr(connection_string(1)),
        eventhub_connection_string=SecretStr(NOWHERE.format(port=1)),
        uploads_container=container,
        upload_suffixes=".mp4,.mov",
        webhook_port=0,
        webhook_host="127.0.0.1",
        webhook_secret=SecretStr(f"{SECRET_BEFORE}, {SECRET}"),
    )
    registry = CollectorRegistry()
    metrics = SplitterMetrics(registry)
    async with (
        Webhook(chosen, Acceptance(chosen, ACCOUNT), intake, metrics) as webhook,
        aiohttp.ClientSession() as session,
    ):
        yield Door(container, f"http://127.0.0.1:{webhook.port}/events", session, hub, registry)


def through(client: EventHubProducerClient) -> Sender:
    async def connect() -> EventHubProducerClient:
        return client

    return Sender("uploads", connect, DEADLINE_S)


@pytest_asyncio.fixture(loop_scope="module")
async def door(hub: Hub) -> AsyncIterator[Door]:
    async with open_door(hub, Intake(through(hub.producer))) as door:
        yield door


@pytest.mark.parametrize("schema", ["cloud_event", "grid_event"])
async def test_what_is_acknowledged_lies_in_the_hub_in_either_schema_single_or_in_a_batch(
    door: Door, schema: str
) -> None:
    make = getattr(door, schema)
    single, batch = make("one.mp4"), [make("été/日本 #1.MOV"), make("three.mp4")]

    assert (await door.post(single))[0] == 200
    assert (await door.post(batch))[0] == 200

    found = {event["id"]: event for event in await door.in_hub()}
    assert found == {event["id"]: event for event in (single, *batch)}


async def test_a_delivery_larger_than_one_batch_of_the_hub_is_taken_whole(door: Door) -> None:
    padding = {"padding": "x" * 20_000}
    batch = [door.cloud_event(f"{number}.mp4", **padding) for number in range(50)]

    assert (await door.post(batch))[0] == 200

    assert {event["id"] for event in await door.in_hub()} == {event["id"] for event in batch}


async def test_event_grids_own_validation_gets_its_code_back_and_nothing_else(door: Door) -> None:
    code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"
    question = door.grid_event(
        eventType="Microsoft.EventGrid.SubscriptionValidationEvent",
        data={"validationCode": code, "validationUrl": "http://127.0.0.1:1/never-called"},
    )

    status, body = await door.post([question], **{"aeg-event-type": "SubscriptionValidation"})

    assert status == 200
    assert json.loads(body) == {"validationResponse": code}
    assert await door.in_hub() == []


async def test_a_validation_needs_the_secret_like_every_delivery(door: Door) -> None:
    question = door.grid_event(
        eventType="Microsoft.EventGrid.SubscriptionValidationEvent", data={"validationCode": "c"}
    )
    assert (await door.post([question], secret=None))[0] == 401


@pytest.mark.parametrize("data", [{}, {"validationCode": 7}, {"validationCode": "x" * 9999}])
async def test_a_validation_without_a_code_is_refused(door: Door, data: dict[str, Any]) -> None:
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    assert (await door.post([door.grid_event(eventType=kind, data=data)]))[0] == 400


async def test_cloud_events_validation_is_granted_to_event_grid(door: Door) -> None:
    answer = await door.options(
        WebHook_Request_Origin="eventgrid.azure.net",
        WebHook_Request_Callback="http://127.0.0.1:1/never-called",
        WebHook_Request_Rate="120",
    )
    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"


@pytest.mark.parametrize("origin", ["evil.example.com", "eventgrid.azure.net.evil.example", ""])
async def test_cloud_events_validation_is_granted_to_nobody_else(door: Door, origin: str) -> None:
    answer = await door.options(WebHook_Request_Origin=origin)
    assert answer.status == 403
    assert "WebHook-Allowed-Origin" not in answer.headers


@pytest.mark.parametrize("secret", [SECRET, SECRET_BEFORE])
async def test_both_secrets_are_good_while_one_replaces_the_other_as_header_or_in_the_address(
    door: Door, secret: str
) -> None:
    assert (await door.post(door.cloud_event(), secret=secret))[0] == 200
    assert (await door.post(door.cloud_event(), secret=None, query=f"?code={secret}"))[0] == 200
    assert len(await door.in_hub()) == 2


@pytest.mark.parametrize(
    ("secret", "query", "headers"),
    [
        (None, "", {}),
        ("wrong-wrong-wrong-wrong", "", {}),
        (SECRET[:-1], "", {}),
        (f"{SECRET_BEFORE}, {SECRET}", "", {}),
        (None, "?code=", {}),
        (None, f"?key={SECRET}", {}),
        (None, "", {"Authorization": f"Bearer {SECRET}"}),
        (None, "", {"X-Webhook-Key": "s\xffcret"}),
    ],
)
async def test_a_stranger_is_turned_away_for_good_and_leaves_nothing_in_the_hub(
    door: Door, secret: str | None, query: str, headers: dict[str, str]
) -> None:
    status, body = await door.post(door.cloud_event(), secret=secret, query=query, **headers)
    assert status == 401
    assert SECRET not in body
    assert await door.in_hub() == []


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("foreign account", {"url": "https://other.blob.core.windows.net/{container}/a.mp4"}),
        ("account hidden in a name", {"url": "https://acc.blob.core.windows.net@evil.example/x"}),
        ("address that is none", {"url": "http://[::1/{container}/a.mp4"}),
        ("container of another address", {"url": ACCOUNT + "/other/a.mp4"}),
    ],
)
async def test_uploads_of_foreign_accounts_are_acknowledged_and_ignored(
    door: Door, reason: str, changes: dict[str, str]
) -> None:
    data = {"eTag": "0x1", "url": changes["url"].format(container=door.container)}
    assert (await door.post(door.cloud_event(data=data)))[0] == 200, reason
    assert await door.in_hub() == []


async def test_what_is_no_video_upload_is_acknowledged_and_ignored(door: Door) -> None:
    other = "/blobServices/default/containers/results/blobs/a.mp4"
    batch = [
        door.cloud_event("notes.txt"),
        door.cloud_event(type="Microsoft.Storage.BlobDeleted"),
        door.cloud_event(subject=other, data={"eTag": "0x1", "url": f"{ACCOUNT}/results/a.mp4"}),
    ]
    wanted = door.cloud_event("wanted.mp4")

    assert (await door.post([*batch, wanted]))[0] == 200

    assert await door.in_hub() == [wanted]


async def test_a_data_lake_address_of_the_account_is_the_accounts(door: Door) -> None:
    url = f"https://acc.dfs.core.windows.net/{door.container}/a.mp4"
    event = door.cloud_event(data={"api": "FlushWithClose", "eTag": "0x1", "url": url})
    assert (await door.post(event))[0] == 200
    assert await door.in_hub() == [event]


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"[7]", b"{}", b'"text"', b"[" * 100_000])
async def test_a_body_that_is_no_event_is_refused_for_good(door: Door, body: bytes) -> None:
    status, text = await door.post(body)
    assert status == 400
    assert "not an Event Grid event" in text


async def test_an_event_that_is_none_does_not_take_the_others_of_its_batch_with_it(
    door: Door,
) -> None:
    good = door.cloud_event()
    assert (await door.post([{"specversion": "1.0"}, good]))[0] == 400
    assert await door.in_hub() == [good]


async def test_a_body_beyond_event_grids_limit_is_refused_for_good(door: Door) -> None:
    status, _ = await door.post(b" " * ((1 << 20) + 1))
    assert status == 413
    bare = len(json.dumps(door.cloud_event(padding="")))
    large = door.cloud_event(padding="x" * ((1 << 20) - bare))
    assert (await door.post(large))[0] == 413, "one event that no hub takes"
    assert await door.in_hub() == []


async def test_while_the_hub_is_away_event_grid_is_asked_to_come_again(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("splitter.intake.forwarding._DEADLINE_S", 1.0)
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        away = EventHubProducerClient.from_connection_string(
            NOWHERE.format(port=refusing.getsockname()[1]), eventhub_name="uploads"
        )
        async with (
            away,
            open_door(hub, Intake(through(away))) as door,
            door.session.post(
                door.address, json=door.cloud_event(), headers={"X-Webhook-Key": SECRET}
            ) as answer,
        ):
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert door.counted() == {"put_off": 1}


async def test_a_body_that_does_not_come_is_asked_for_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitter.intake.webhook._BODY_DEADLINE_S", 0.1)
    withheld = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"["
        await withheld.wait()

    request = door.session.post(door.address, data=body(), headers={"X-Webhook-Key": SECRET})
    async with request as answer:
        assert answer.status == 408
        withheld.set()
    assert door.counted() == {"put_off": 1}


async def test_deliveries_are_counted_by_what_event_grid_was_told(door: Door) -> None:
    await door.post(door.cloud_event())
    await door.post(door.cloud_event("notes.txt"))
    await door.post([{"specversion": "1.0"}, door.cloud_event()])
    await door.post(b" " * ((1 << 20) + 1))
    await door.post(door.cloud_event(), secret="wrong-wrong-wrong-wrong")
    async with door.session.get(door.address):
        pass
    assert door.counted() == {"delivered": 2, "refused": 2, "stranger": 1}


async def test_other_methods_and_paths_lead_nowhere(door: Door) -> None:
    async with door.session.get(door.address) as answer:
        assert answer.status == 405
    async with door.session.post(door.address.replace("/events", "/metrics")) as answer:
        assert answer.status == 404


async def test_an_upload_that_the_webhook_tells_of_becomes_a_job(
    storage_connection: str, eventhub_connection: str
) -> None:
    name = uuid.uuid4().hex
    settings = SplitterSettings(
        storage_connection_string=SecretStr(storage_connection),
        eventhub_connection_string=SecretStr(eventhub_connection),
        consumer_group=f"g{name}",
        uploads_container=f"u{name}",
        jobs_container=f"j{name}",
        frames_container=f"f{name}",
        checkpoints_container=f"c{name}",
        dead_letters_container=f"d{name}",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=5,
        webhook_port=unused_port(),
        webhook_host="127.0.0.1",
        webhook_secret=SecretStr(SECRET),
    )
    async with AzureClients(settings) as clients:
        storage = await clients.blobs()
        for kind in "ujfcd":
            await storage.create_container(f"{kind}{name}")
        registry = CollectorRegistry()
        service = await splitter.build(settings, clients, SplitterMetrics(registry), Health())
        reading = asyncio.create_task(service.consumer.run())
        door = Door(
            settings.uploads_container,
            f"http://127.0.0.1:{settings.webhook_port}/events",
            await clients.keep(aiohttp.ClientSession()),
            Hub(await clients.keep(await clients.producer("uploads")), []),
            registry,
        )
        blob = storage.get_blob_client(door.container, "clip.mp4")
        written = await blob.upload_blob(Video(frames=5).make())
        # The style is set later: that makes a new version, and no event tells of it.
        await blob.set_blob_metadata({"style": "the-scream"})
        data = {"eTag": written["etag"], "url": blob.url}
        assert (await door.post(door.grid_event("clip.mp4", data=data)))[0] == 200

        async with asyncio.timeout(DEADLINE_S):
            while not (sealed := await manifests(BlobStore(storage), settings.jobs_container)):
                await asyncio.sleep(0.05)
        manifest = await BlobStore(storage).read(settings.jobs_container, sealed[0])
        assert Manifest.model_validate_json(manifest or b"").style.style == "the-scream"
        service.consumer.drain()
        await service.finish()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def manifests(blobs: BlobStore, container: str) -> list[str]:
    return [name async for name in blobs.names(container) if name.endswith("/manifest.json")]
