"""Error responses of real storage: temporary ones are waited for, permanent ones reported."""

from __future__ import annotations

import gzip
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from azure.storage.blob import ContentSettings, StandardBlobTier
from azure.storage.blob.aio import BlobServiceClient, LinearRetry
from ports import unused_port
from prometheus_client import CollectorRegistry

from shared.contracts.errors import (
    DeniedError,
    DoubtfulError,
    NoContainerError,
    PermanentError,
    SourceRefused,
    TransientError,
)
from shared.service.storage_clock import StorageClock
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.last_answer import LastAnswer, StorageProbe
from shared.storage.retry import Retry
from shared.telemetry.metrics import WorkMetrics
from splitter.upload import UploadReader, Video

pytestmark = pytest.mark.asyncio(loop_scope="session")
NAME = "film.mp4"
BYTES = bytes(range(256)) * 64


@pytest_asyncio.fixture(loop_scope="session")
async def client(storage_connection: str) -> AsyncIterator[BlobServiceClient]:
    async with storage_client(storage_connection, None, None) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def container(client: BlobServiceClient) -> str:
    name = f"t{uuid.uuid4().hex[:8]}"
    await client.create_container(name)
    return name


@pytest.fixture
def retry() -> Retry:
    return Retry(WorkMetrics(CollectorRegistry(), "test"))


async def upload(client: BlobServiceClient, container: str, data: bytes = BYTES) -> None:
    await client.get_blob_client(container, NAME).upload_blob(data, overwrite=True)


async def reading(client: BlobServiceClient, container: str, retry: Retry) -> UploadReader:
    blobs = BlobStore(client)
    facts = await blobs.facts(container, NAME)
    assert facts
    return UploadReader(
        Video(name=NAME, url=facts.url, etag=facts.etag, size=facts.size), container, blobs, retry
    )


async def test_a_missing_container_is_neither_a_missing_blob_nor_one_that_exists(
    client: BlobServiceClient,
) -> None:
    blobs, nowhere = BlobStore(client), f"t{uuid.uuid4().hex[:8]}"
    for request in (
        blobs.facts(nowhere, NAME),
        blobs.fetch(nowhere, NAME),
        blobs.create(nowhere, NAME, b"x"),
        blobs.delete(nowhere, NAME),
        blobs.read_range(nowhere, NAME, 0, 1, "0x1"),
    ):
        with pytest.raises(NoContainerError, match="the container is missing: create it"):
            await request


async def test_an_upload_in_the_archive_tier_is_refused_with_the_remedy(
    client: BlobServiceClient, container: str, retry: Retry
) -> None:
    await upload(client, container)
    await client.get_blob_client(container, NAME).set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    read = await reading(client, container, retry)
    with pytest.raises(PermanentError, match="it is in the archive tier: bring it to") as refusal:
        await read(0, 16)
    assert refusal.value.code == "STORAGE_REFUSED"


async def test_replacing_a_version_ends_if_its_blob_is_gone(
    client: BlobServiceClient, container: str
) -> None:
    blobs = BlobStore(client)
    etag = await blobs.create(container, "record", b"1")
    await blobs.delete(container, "record")
    assert await blobs.replace(container, "record", b"2", etag=etag) is None


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_an_upload_is_read_as_stored_whatever_its_content_encoding_says(
    client: BlobServiceClient, container: str, retry: Retry, encoding: str
) -> None:
    for data in (BYTES, gzip.compress(BYTES)):
        await upload(client, container, data)
        await client.get_blob_client(container, NAME).set_http_headers(
            ContentSettings(content_encoding=encoding)
        )
        read = await reading(client, container, retry)
        assert await read(8, 32) == data[8:40]


async def test_an_upload_that_is_changed_but_keeps_its_bytes_is_read_on(
    client: BlobServiceClient, container: str, retry: Retry
) -> None:
    await upload(client, container)
    read, blob = await reading(client, container, retry), client.get_blob_client(container, NAME)
    assert await read(0, 100) == BYTES[:100]
    await blob.set_blob_metadata({"owner": "alice"})
    assert await read(100, 100) == BYTES[100:200]
    await blob.set_http_headers(ContentSettings(content_type="video/mp4"))
    await upload(client, container)  # written again, the same
    assert await read(200, 100) == BYTES[200:300]


@pytest.mark.parametrize("other", [BYTES[:-1], b"x" + BYTES[1:]], ids=["shorter", "other"])
async def test_an_upload_whose_bytes_were_replaced_is_read_no_further(
    client: BlobServiceClient, container: str, retry: Retry, other: bytes
) -> None:
    await upload(client, container)
    read = await reading(client, container, retry)
    await read(0, 100)
    await upload(client, container, other)
    with pytest.raises(SourceRefused, match="replaced while it was being read"):
        await read(100, 100)


async def test_an_upload_that_was_deleted_is_read_no_further(
    client: BlobServiceClient, container: str, retry: Retry
) -> None:
    await upload(client, container)
    read = await reading(client, container, retry)
    await client.get_blob_client(container, NAME).delete_blob()
    with pytest.raises(SourceRefused, match="deleted while it was being read"):
        await read(0, 100)


async def test_an_upload_that_alone_is_forbidden_is_refused_and_a_locked_account_waited_for(
    retry: Retry,
) -> None:
    video = Video(name=NAME, url="u", etag="0x1", size=100)
    async with answering(403, "AuthorizationPermissionMismatch") as (client, answers):
        answers["container"] = (200, "")
        with pytest.raises(DoubtfulError, match="refuses the credentials"):
            await UploadReader(video, "uploads", BlobStore(client), retry)._read(0, 10)
        answers["container"] = (403, "AuthorizationFailure")
        with pytest.raises(TransientError, match="refuses the credentials"):
            await UploadReader(video, "uploads", BlobStore(client), retry)._read(0, 10)


@pytest.mark.parametrize("size", [100, 33 << 20], ids=["one-request", "several-requests"])
@pytest.mark.parametrize("read", ["fetch", "download", "read_range", "copy"])
async def test_content_that_arrives_incomplete_is_read_again(
    retry: Retry, tmp_path: Path, read: str, size: int
) -> None:
    content = random.Random(1).randbytes(size)
    most, written = [40, 40], bytearray()

    async def answer(request: web.Request) -> web.Response:
        headers = {"ETag": '"0x1"', "Last-Modified": "Fri, 27 Nov 2026 00:00:00 GMT"}
        if request.method == "HEAD":
            return web.Response(status=404, headers={"x-ms-error-code": "BlobNotFound"})
        if request.method == "PUT":
            # All blocks, and then their list
            written.extend(b"" if "blocklist" in str(request.url) else await request.read())
            return web.Response(status=201, headers=headers)
        first, last = map(int, request.headers["x-ms-range"].removeprefix("bytes=").split("-"))
        body = content[first : last + 1][: most.pop(0) if most else None]
        headers["Content-Range"] = f"bytes {first}-{min(last, size - 1)}/{size}"
        return web.Response(status=206, body=body, headers=headers)

    async def got(blobs: BlobStore) -> bytes | None:
        match read:
            case "fetch":
                return await blobs.read("c", NAME)
            case "read_range":
                return await blobs.read_range("c", NAME, 0, size, "0x1")
            case "download":
                assert await blobs.download("c", NAME, tmp_path / NAME)
                return (tmp_path / NAME).read_bytes()
            case _:
                written.clear()
                assert await blobs.copy("c", NAME, "there", etag="0x1")
                return bytes(written)

    async with serving(answer) as client:
        blobs = BlobStore(client)
        assert await retry(lambda: got(blobs)) == content


async def test_a_clock_that_is_far_from_storages_is_reported_and_one_that_is_near_is_not(
    storage_connection: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = LastAnswer()
    clock = StorageClock(last, ownership_expiry_s=30)
    await clock.check()
    async with storage_client(storage_connection, None, None, on_response=last.note) as client:
        await BlobStore(client).reach(container)
        await clock.check()
        now = time.time
        monkeypatch.setattr("shared.storage.last_answer.time.time", lambda: now() + 40)
        await BlobStore(client).facts(container, NAME)
        with pytest.raises(TransientError, match=r"clock is (39|4\d) s ahead of storage's"):
            await clock.check()


async def test_answers_to_others_stand_for_a_probes_own_but_not_forever(
    storage_connection: str, container: str
) -> None:
    last, asked = LastAnswer(), list[bool]()

    def on_response(answer: Any) -> None:
        last.note(answer)
        asked.append("restype=container" in answer.http_request.url)

    async with storage_client(storage_connection, None, None, on_response=on_response) as client:
        blobs = BlobStore(client)
        probe = StorageProbe(blobs, container, last, every_s=300)
        await probe()
        assert sum(asked) == 1
        for _ in range(5):
            # That a blob is not there is an answer, too.
            assert await blobs.facts(container, NAME) is None
            await probe()
        assert sum(asked) == 1
        await probe()
        assert sum(asked) == 2
        # An old answer stands for nothing.
        await StorageProbe(blobs, container, last, every_s=0)()
        assert sum(asked) == 3


async def test_after_a_refusal_a_probe_asks_itself_until_it_is_answered_well() -> None:
    last = LastAnswer()
    async with answering(404, "BlobNotFound", last.note) as (client, answers):
        answers["container"] = (200, "")
        blobs = BlobStore(client)
        probe = StorageProbe(blobs, "uploads", last, every_s=300)
        await probe()
        answers["container"] = (403, "AuthorizationFailure")
        await probe()
        answers["blob"] = (403, "AuthorizationFailure")
        with pytest.raises(DeniedError):
            await blobs.facts("uploads", NAME)
        with pytest.raises(DeniedError):
            await probe()
        answers["blob"] = (404, "BlobNotFound")
        assert await blobs.facts("uploads", NAME) is None
        # What the account answers about a blob says nothing about a container that it refuses.
        with pytest.raises(DeniedError):
            await probe()
        answers["container"] = (200, "")
        await probe()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "BlobImmutableDueToPolicy", PermanentError),
        (409, "ContainerBeingDeleted", TransientError),
        (409, "", TransientError),
        (429, "TooManyRequests", TransientError),
        (400, "SomethingNew", DoubtfulError),
    ],
)
async def test_an_answer_that_is_not_exists_is_not_taken_for_it(
    status: int, code: str, error: type[Exception]
) -> None:
    async with answering(status, code) as (client, _):
        with pytest.raises(error):
            await BlobStore(client).create("frames", NAME, b"x")


@asynccontextmanager
async def serving(
    answer: Callable[[web.Request], Awaitable[web.Response]],
    on_response: Callable[[Any], None] | None = None,
) -> AsyncIterator[BlobServiceClient]:
    """Serve an account that gives each request that answer."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = unused_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        address = f"http://127.0.0.1:{port}/account"
        once = LinearRetry(retry_total=0)
        async with BlobServiceClient(
            address, retry_policy=once, raw_response_hook=on_response, max_single_put_size=8 << 20
        ) as client:
            yield client
    finally:
        await runner.cleanup()


@asynccontextmanager
async def answering(
    status: int, code: str, on_response: Callable[[Any], None] | None = None
) -> AsyncIterator[tuple[BlobServiceClient, dict[str, tuple[int, str]]]]:
    """Serve an account whose every answer is ``status`` and ``code``, until told otherwise."""
    answers = {"blob": (status, code), "container": (status, code)}

    async def say(request: web.Request) -> web.Response:
        status, code = answers["container" if "restype" in request.query else "blob"]
        headers = {"ETag": '"0x1"', "Last-Modified": "Fri, 27 Nov 2026 00:00:00 GMT"}
        return web.Response(
            status=status, headers=headers | ({"x-ms-error-code": code} if code else {})
        )

    async with serving(say, on_response) as client:
        yield client, answers
