"""Blob storage as the services rely on it: written once, replaced under an ETag, read by range."""

from __future__ import annotations

import base64
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient, LinearRetry

from assembler.verify import corrupt_result
from shared.contracts.errors import PermanentError, ResultError, TransientError
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.sealed_files import SealedFile
from shared.storage.seals import file_digest

pytestmark = pytest.mark.asyncio(loop_scope="session")
NAMES = ["plain.mp4", "a folder/b.mp4", "日本語 🎬 'q' \"d\" #?%25.mp4", "dots../..x"]


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
def blobs(client: BlobServiceClient) -> BlobStore:
    return BlobStore(client)


@pytest.mark.parametrize("name", NAMES)
async def test_the_first_writer_wins_and_the_second_learns_of_it(
    blobs: BlobStore, container: str, name: str
) -> None:
    assert await blobs.create(container, name, b"first", metadata={"job_id": "1"})
    assert await blobs.create(container, name, b"second") is None
    assert await blobs.read(container, name) == b"first"
    facts = await blobs.facts(container, name)
    assert facts
    assert (facts.size, facts.metadata) == (5, {"job_id": "1"})


@pytest.mark.parametrize("name", ["", ".", "..", "../{other}/theirs", "a/../../{other}/theirs"])
async def test_a_name_that_http_resolves_leads_to_no_other_blob(
    client: BlobServiceClient, blobs: BlobStore, container: str, name: str
) -> None:
    other = f"t{uuid.uuid4().hex[:8]}"
    await client.create_container(other)
    etag = await blobs.create(other, "theirs", b"film")
    assert etag
    name = name.format(other=other)
    for request in (
        blobs.facts(container, name),
        blobs.fetch(container, name),
        blobs.read_range(container, name, 0, 1, etag),
        blobs.create(container, name, b"x"),
        blobs.replace(container, name, b"x"),
        blobs.annotate(container, name, {}, etag=etag),
        blobs.copy(container, name, "mine", etag=etag),
        blobs.delete(container, name),
    ):
        with pytest.raises(PermanentError, match="no blob can be called"):
            await request
    assert await blobs.read(other, "theirs") == b"film"


@pytest.mark.parametrize("limit", [64 << 20, 8], ids=["in one request", "in blocks"])
@pytest.mark.parametrize("damaged", [False, True])
async def test_a_file_that_was_damaged_since_it_was_checked_is_not_published(
    storage_connection: str, container: str, tmp_path: Path, *, limit: int, damaged: bool
) -> None:
    path = tmp_path / "result"
    path.write_bytes(b"checked, and then published")
    sealed = SealedFile(path, file_digest(path), corrupt_result)
    name = f"{limit}-{damaged}"
    # As a disk does that gives back other bytes the second time.
    path.write_bytes(b"checked, and then " + (b"perished!" if damaged else b"published"))
    async with BlobServiceClient.from_connection_string(
        storage_connection, max_single_put_size=limit, max_block_size=limit
    ) as client:
        blobs = BlobStore(client)
        if damaged:
            with pytest.raises(ResultError, match="damaged in the work folder"):
                await blobs.create(container, name, sealed)
        else:
            assert await blobs.create(container, name, sealed)
        assert await blobs.exists(container, name) is not damaged


async def test_a_large_file_is_written_whole_or_not_at_all(
    blobs: BlobStore, container: str, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(70 << 20))  # above the SDK's limit for a single request
    assert await blobs.create(container, "large", path)
    assert await blobs.create(container, "large", path) is None
    assert await blobs.download(container, "large", tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_size == 70 << 20


async def test_only_the_version_that_was_read_is_replaced(blobs: BlobStore, container: str) -> None:
    first = await blobs.create(container, "status", b"1")
    second = await blobs.replace(container, "status", b"2", etag=first)
    assert second
    assert await blobs.replace(container, "status", b"3", etag=first) is None
    found = await blobs.fetch(container, "status")
    assert found is not None
    assert (found.data, found.etag) == (b"2", second)


async def test_a_range_comes_from_the_wanted_version_or_not_at_all(
    blobs: BlobStore, container: str
) -> None:
    await blobs.create(container, "video", b"0123456789")
    facts = await blobs.facts(container, "video")
    assert facts
    assert await blobs.read_range(container, "video", 3, 4, facts.etag) == b"3456"
    await blobs.replace(container, "video", b"abcdefghij")
    assert await blobs.read_range(container, "video", 3, 4, facts.etag) is None
    assert await blobs.read_range(container, "gone", 0, 1, facts.etag) is None


async def test_a_missing_blob_is_none(blobs: BlobStore, container: str, tmp_path: Path) -> None:
    assert await blobs.read(container, "nothing") is None
    assert await blobs.facts(container, "nothing") is None
    assert not await blobs.download(container, "nothing", tmp_path / "x")


async def test_deleting_a_folder_leaves_its_neighbours(blobs: BlobStore, container: str) -> None:
    for name in ("a/1", "a/2", "ab/1"):
        await blobs.create(container, name, b"x")
    assert await blobs.delete_all(container, "a/") == 2
    assert [name async for name in blobs.names(container)] == ["ab/1"]
    assert await blobs.delete_all(container, "a/") == 0
    # And a name is only a name
    for name in NAMES:
        await blobs.create(container, name, b"x")
    assert await blobs.delete_all(container, "") == len(NAMES) + 1
    assert [name async for name in blobs.names(container)] == []


async def test_unavailable_storage_is_a_transient_error() -> None:
    nobody = "http://127.0.0.1:9/devstoreaccount1"
    async with BlobServiceClient(nobody, retry_policy=LinearRetry(retry_total=0)) as client:
        with pytest.raises(TransientError, match="cannot read blob frames/x"):
            await BlobStore(client).read("frames", "x")


async def test_refused_credentials_are_named_and_tried_again(
    storage_connection: str, container: str
) -> None:
    key = storage_connection.split("AccountKey=")[1].split(";", maxsplit=1)[0]
    expired = storage_connection.replace(key, base64.b64encode(b"expired" * 9).decode())
    async with storage_client(expired, None, None) as client:
        with pytest.raises(TransientError, match="refuses the credentials; renew them"):
            await BlobStore(client).read(container, "anything")


async def test_metadata_is_set_only_on_the_version_that_was_read(
    blobs: BlobStore, container: str
) -> None:
    await blobs.create(container, "noted", b"content", metadata={"attempts": "0"})
    read = await blobs.fetch(container, "noted")
    assert read is not None
    assert await blobs.annotate(container, "noted", {"attempts": "1"}, etag=read.etag)
    assert await blobs.annotate(container, "noted", {"attempts": "1"}, etag=read.etag) is None
    found = await blobs.fetch(container, "noted")
    assert found is not None
    assert (found.data, found.metadata) == (b"content", {"attempts": "1"})


async def test_a_request_that_storage_will_never_accept_is_not_tried_again(
    blobs: BlobStore,
) -> None:
    with pytest.raises(PermanentError, match="cannot write blob x/name") as refusal:
        await blobs.create("x", "name", b"a container's name has three letters at least")
    assert refusal.value.code == "STORAGE_REFUSED"
