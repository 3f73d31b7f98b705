"""Event Grid's deliveries over HTTP, into a real hub: what is accepted, and how it is answered."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest
from azure.eventhub.aio import EventHubProducerClient
from ports import unused_port
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from serving import serving
from videos import Video
from webhook_door import (
    ACCOUNT,
    DEADLINE_S,
    NOWHERE,
    SECRET,
    Door,
    Hub,
    open_door,
    through,
)

from shared.contracts.manifest import Manifest
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.storage.blobs import BlobStore
from splitter import service as splitter
from splitter.intake.forwarding import Intake
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("schema", ["cloud_event", "grid_event"])
async def test_acknowledged_events_are_in_the_hub_in_either_schema_single_or_in_a_batch(
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


async def test_events_that_are_not_video_uploads_are_acknowledged_and_ignored(door: Door) -> None:
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
async def test_a_body_that_is_not_an_event_is_refused_for_good(door: Door, body: bytes) -> None:
    status, text = await door.post(body)
    assert status == 400
    assert "not an Event Grid event" in text


async def test_an_invalid_event_does_not_spoil_the_others_of_its_batch(
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


async def test_while_the_hub_is_unavailable_event_grid_is_asked_to_retry(
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


async def test_deliveries_are_counted_by_the_response_to_event_grid(door: Door) -> None:
    await door.post(door.cloud_event())
    await door.post(door.cloud_event("notes.txt"))
    await door.post([{"specversion": "1.0"}, door.cloud_event()])
    await door.post(b" " * ((1 << 20) + 1))
    await door.post(door.cloud_event(), secret="wrong-wrong-wrong-wrong")
    async with door.session.get(door.address):
        pass
    assert door.counted() == {"delivered": 2, "refused": 2, "unauthorised": 1}


async def test_other_methods_and_paths_lead_nowhere(door: Door) -> None:
    async with door.session.get(door.address) as answer:
        assert answer.status == 405
    async with door.session.post(door.address.replace("/events", "/metrics")) as answer:
        assert answer.status == 404


async def test_an_upload_announced_to_the_webhook_becomes_a_job(
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
        uploads_checkpoints_container=f"c{name}",
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
        door = Door(
            settings.uploads_container,
            f"http://127.0.0.1:{settings.webhook_port}/events",
            await clients.keep(aiohttp.ClientSession()),
            Hub(await clients.keep(await clients.producer("uploads")), []),
            registry,
        )
        async with serving(service):
            blob = storage.get_blob_client(door.container, "clip.mp4")
            written = await blob.upload_blob(Video(frames=5).make())
            # The style is set later: that makes a new version, and no event tells of it.
            await blob.set_blob_metadata({"style": "the-scream"})
            data = {"eTag": written["etag"], "url": blob.url}
            assert (await door.post(door.grid_event("clip.mp4", data=data)))[0] == 200

            async with asyncio.timeout(DEADLINE_S):
                while not (
                    sealed := await manifests(BlobStore(storage), settings.frames_container)
                ):
                    await asyncio.sleep(0.05)
            manifest = await BlobStore(storage).read(settings.frames_container, sealed[0])
            assert Manifest.model_validate_json(manifest or b"").style.style == "the-scream"


async def manifests(blobs: BlobStore, container: str) -> list[str]:
    return [name async for name in blobs.names(container) if name.endswith("/manifest.json")]
