"""Uploads to a real Azurite become the events that Event Grid would deliver to a real hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

from client import diagnose
from local import azurite
from local.watcher import FAILURES, Report, UploadWatcher

DEADLINE_S = 60.0
INTERVAL_S = 0.05


class Uploads:
    """An uploads container of its own, its watcher, and what arrives in the hub."""

    def __init__(self, container: ContainerClient, storage: str, eventhub: str) -> None:
        self.container = container
        self.arrived: asyncio.Queue[EventData] = asyncio.Queue()
        self._connections = (storage, eventhub)

    @contextlib.asynccontextmanager
    async def watched(
        self, report: Report = lambda _problem: None, uploaded: asyncio.Event | None = None
    ) -> AsyncIterator[None]:
        """Run a watcher."""
        watcher = UploadWatcher(
            *self._connections,
            uploads_container=self.container.container_name,
            interval_s=INTERVAL_S,
            report=report,
            uploaded=uploaded,
        )
        running = asyncio.create_task(watcher.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def put(self, name: str, content: bytes = b"video") -> None:
        """Upload, replacing what is there."""
        await self.container.upload_blob(name, content, overwrite=True)

    async def next(self) -> EventData:
        """Return the next event about this container."""
        marker = f"/containers/{self.container.container_name}/"
        async with asyncio.timeout(DEADLINE_S):
            while True:
                event = await self.arrived.get()
                if marker in event.body_as_str():
                    return event


@pytest_asyncio.fixture
async def uploads(storage_connection: str, eventhub_connection: str) -> AsyncIterator[Uploads]:
    """A fresh container, and a reader of the hub from its beginning."""
    async with (
        BlobServiceClient.from_connection_string(storage_connection) as account,
        EventHubConsumerClient.from_connection_string(
            eventhub_connection, "$Default", eventhub_name="uploads"
        ) as consumer,
    ):
        container = await account.create_container(f"uploads-{uuid.uuid4().hex}")
        fixture = Uploads(container, storage_connection, eventhub_connection)

        async def arrive(_partition: PartitionContext, event: EventData | None) -> None:
            if event is not None:
                fixture.arrived.put_nowait(event)

        reading = asyncio.create_task(consumer.receive(arrive, starting_position="-1"))
        yield fixture
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def text(properties: dict[bytes | str, Any] | None) -> dict[str, str]:
    """Decode application properties: they come back as bytes."""
    return {
        key.decode() if isinstance(key, bytes) else key: (
            value.decode() if isinstance(value, bytes) else value
        )
        for key, value in (properties or {}).items()
    }


async def test_an_upload_becomes_a_cloud_event(uploads: Uploads) -> None:
    async with uploads.watched():
        await uploads.put("holiday/beach.mp4", b"0123456789")
        message = await uploads.next()

    event, name = json.loads(message.body_as_str()), uploads.container.container_name
    blob = await uploads.container.get_blob_client("holiday/beach.mp4").get_blob_properties()
    assert event["specversion"] == "1.0"
    assert event["type"] == "Microsoft.Storage.BlobCreated"
    assert event["subject"] == f"/blobServices/default/containers/{name}/blobs/holiday/beach.mp4"
    assert event["source"].endswith("Microsoft.Storage/storageAccounts/devstoreaccount1")
    assert event["data"]["eTag"] == blob.etag.strip('"')
    assert event["data"]["contentLength"] == 10
    assert event["data"]["blobType"] == "BlockBlob"
    assert event["data"]["api"] == "PutBlob"
    assert text(message.properties) == {
        "aeg-event-type": "Notification",
        "aeg-subscription-name": "UPLOADS",
        "aeg-delivery-count": "0",
        "aeg-output-event-id": event["id"],
        "aeg-metadata-version": "1.0",
    }


@pytest.mark.parametrize(
    "name", ["été à la mer.mp4", 'it\'s "quoted" & 100%.mp4', "a/b c/日本 #1?.mp4", "plus+~x.mp4"]
)
async def test_any_name_is_raw_in_the_subject_and_encoded_in_the_url(
    uploads: Uploads, storage_connection: str, name: str
) -> None:
    async with uploads.watched():
        await uploads.put(name, name.encode())
        event = json.loads((await uploads.next()).body_as_str())

    assert event["subject"].endswith(f"/blobs/{name}")
    url = event["data"]["url"]
    assert url.isascii()
    assert not set(" \"'#?") & set(url)
    account = BlobServiceClient.from_connection_string(storage_connection)
    async with account, BlobClient.from_blob_url(url, account.credential) as blob:
        assert await (await blob.download_blob()).readall() == name.encode()


async def test_each_version_is_announced_once(uploads: Uploads) -> None:
    async with uploads.watched():
        await uploads.put("a.mp4", b"one")
        first = json.loads((await uploads.next()).body_as_str())
        await uploads.put("a.mp4", b"two")
        second = json.loads((await uploads.next()).body_as_str())
        # By the time that a later upload is announced, a repetition would have been, too.
        await uploads.put("b.mp4")
        third = json.loads((await uploads.next()).body_as_str())

    assert first["data"]["url"] == second["data"]["url"]
    assert first["data"]["eTag"] != second["data"]["eTag"]
    assert first["id"] != second["id"]
    assert first["data"]["sequencer"] < second["data"]["sequencer"]
    assert third["subject"].endswith("/b.mp4")


async def test_a_listing_is_read_only_when_it_has_changed(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    glance, glances, read = ContainerClient.list_blob_names, asyncio.Semaphore(0), list[str]()
    list_blobs = ContainerClient.list_blobs

    def count_glance(container: ContainerClient, **options: Any) -> Any:
        glances.release()
        return glance(container, **options)

    def count_reading(container: ContainerClient, **options: Any) -> Any:
        read.append(container.container_name)
        return list_blobs(container, **options)

    monkeypatch.setattr(ContainerClient, "list_blob_names", count_glance)
    monkeypatch.setattr(ContainerClient, "list_blobs", count_reading)
    await uploads.put("a.mp4", b"one")
    async with uploads.watched(), asyncio.timeout(DEADLINE_S):
        await uploads.next()
        for _ in range(5):
            await glances.acquire()
        assert len(read) == 1
        await uploads.put("a.mp4", b"another")
        second = json.loads((await uploads.next()).body_as_str())

    assert second["data"]["contentLength"] == 7
    assert len(read) == 2


async def test_a_watcher_that_is_told_of_uploads_looks_only_then(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    glance, glances, uploaded = ContainerClient.list_blob_names, 0, asyncio.Event()
    read, during = ContainerClient.list_blobs, list[Callable[[], Awaitable[None]]]()

    def count_glance(container: ContainerClient, **options: Any) -> Any:
        nonlocal glances
        glances += 1
        return glance(container, **options)

    async def look(container: ContainerClient, **options: Any) -> AsyncIterator[BlobProperties]:
        async for blob in read(container, **options):
            yield blob
        while during:
            await during.pop()()

    async def put(name: str) -> None:
        await uploads.put(name)
        uploaded.set()

    monkeypatch.setattr(ContainerClient, "list_blob_names", count_glance)
    monkeypatch.setattr(ContainerClient, "list_blobs", look)
    monkeypatch.setattr("local.watcher.UNTOLD_S", float("inf"))
    await uploads.put("a.mp4")
    async with uploads.watched(uploaded=uploaded):
        await uploads.next()
        await asyncio.sleep(10 * INTERVAL_S)
        assert glances == 1
        # Given an upload that is complete while a look for an earlier one has just missed it
        during.append(lambda: put("c.mp4"))
        await put("b.mp4")
        names = [json.loads((await uploads.next()).body_as_str())["subject"] for _ in range(2)]
    assert [name.rpartition("/")[2] for name in names] == ["b.mp4", "c.mp4"]


async def test_a_restarted_watcher_repeats_an_event_under_its_id(uploads: Uploads) -> None:
    await uploads.put("before.mp4")
    async with uploads.watched():
        first = json.loads((await uploads.next()).body_as_str())
    async with uploads.watched():
        again = json.loads((await uploads.next()).body_as_str())

    assert first["id"] == again["id"]
    assert first["data"]["eTag"] == again["data"]["eTag"]


async def test_a_missing_container_is_waited_for(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    noticed = asyncio.Event()
    monkeypatch.setattr("local.watcher._log.info", lambda *_: noticed.set())
    await uploads.container.delete_container()
    async with uploads.watched():
        await asyncio.wait_for(noticed.wait(), DEADLINE_S)
        # (Whatever the SDK says of connections to it)
        said = [each.getMessage() for each in caplog.records if each.name == "local.watcher"]
        assert said == [], "an outage that is over soon concerns nobody"
        await uploads.container.create_container()
        await uploads.put("late.mp4")
        event = json.loads((await uploads.next()).body_as_str())

    assert event["subject"].endswith("/late.mp4")


async def test_a_watcher_ends_though_the_sdk_swallowed_its_cancellation(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sending = EventHubProducerClient.send_event, asyncio.Event()

    async def swallow(producer: EventHubProducerClient, event: EventData) -> None:
        """Do as wait_for does when the answer comes together with the cancellation."""
        sending.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(DEADLINE_S)
        await send(producer, event)

    monkeypatch.setattr(EventHubProducerClient, "send_event", swallow)
    await uploads.put("clip.mp4")
    async with asyncio.timeout(DEADLINE_S):
        async with uploads.watched():
            await sending.wait()
    assert json.loads((await uploads.next()).body_as_str())["subject"].endswith("/clip.mp4")


async def test_a_name_that_storage_cannot_list_is_reported_with_its_place_until_it_is_gone(
    uploads: Uploads,
) -> None:
    reported: asyncio.Queue[str | None] = asyncio.Queue()
    for name in ("film-1.mp4", "film-2.mp4", "film-3\x1b[2J.mp4", "film-4.mp4"):
        await uploads.put(name)
    async with uploads.watched(report=reported.put_nowait), asyncio.timeout(DEADLINE_S):
        problem = await reported.get()
        assert problem
        assert "after 'film-2.mp4'" in problem
        assert problem.endswith("delete it")
        assert problem.isprintable()
        await uploads.container.delete_blob("film-3\x1b[2J.mp4")
        while await reported.get() is not None:
            pass
        assert await uploads.next()


async def test_a_watcher_goes_on_if_storage_goes_away_while_it_is_asked_what_is_wrong(
    eventhub_connection: str,
) -> None:
    reports: asyncio.Queue[str | None] = asyncio.Queue()
    answers = iter([500] * FAILURES)

    async def answer(request: web.Request) -> web.Response:
        status = next(answers, None)
        if status is None and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status or 500)

    (app := web.Application()).router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        storage = azurite.connection_string(server.port or 0)
        watcher = UploadWatcher(
            storage, eventhub_connection, interval_s=INTERVAL_S, report=reports.put_nowait
        )
        running = asyncio.create_task(watcher.run())
        telling = asyncio.create_task(reports.get())
        await asyncio.wait({running, telling}, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done()
        assert (telling.result() or "").startswith("new uploads are not noticed")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_doctor_names_the_blob_that_keeps_uploads_from_being_listed(
    uploads: Uploads,
    storage_connection: str,
    eventhub_connection: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    letters = f"letters-{uuid.uuid4().hex[:8]}"
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(letters)
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", storage_connection)
    monkeypatch.setenv("EVENTHUB_CONNECTION_STRING", eventhub_connection)
    monkeypatch.setenv("UPLOADS_CONTAINER", uploads.container.container_name)
    monkeypatch.setenv("DEAD_LETTERS_CONTAINER", letters)
    monkeypatch.setenv("UPLOADS_CHECKPOINTS_CONTAINER", letters)
    for name in ("film-1.mp4", "film-2\x1b[2J.mp4"):
        await uploads.put(name)

    found = {finding.what.partition(":")[0]: finding async for finding in diagnose()}

    assert "control character" in found["uploads"].what
    assert found["uploads"].remedy
    assert "delete that blob" in found["uploads"].remedy
    assert "after 'film-1.mp4'" in found["uploads"].remedy
    assert found["dead letters"].good
