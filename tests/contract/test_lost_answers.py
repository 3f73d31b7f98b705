"""Writes that storage carries out although their answer never arrives, and that are sent again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient
from azurites import port_of
from manifests import manifest, store_whole

from assembler.attempts import AssemblyAttempts
from assembler.settings import AssemblerSettings
from chaos.history import BlobCall
from chaos.storage_proxy import StorageProxy
from client import Pipeline, StyleRequest, StylestreamError
from client.account import Containers
from local import azurite
from shared.contracts.errors import PermanentError, ResultError
from shared.contracts.layout import job_id, status_blob
from shared.contracts.status import Status
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from splitter.openings import Opening, Openings
from splitter.upload import Video

pytestmark = pytest.mark.asyncio(loop_scope="session")
JOB = "7" * 24
BLOCK = 8 << 20
"""A larger file is uploaded in several requests."""


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(storage_connection: str) -> AsyncIterator[StorageProxy]:
    """A proxy between the clients and Azurite."""
    port = port_of(storage_connection)
    async with StorageProxy(lambda: port, lambda _: None) as proxy:
        yield proxy


def lose_next_answer(proxy: StorageProxy, operation: str = "write") -> list[BlobCall]:
    """Lose the answer to the next call of a kind, and to no other; return the call once it is."""
    found: list[BlobCall] = []

    async def lose_first(call: BlobCall) -> None:
        proxy.losing_answers = call.operation == operation and not found
        if proxy.losing_answers:
            found.append(call)

    proxy.call_hooks.append(lose_first)
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def account(proxy: StorageProxy) -> AsyncIterator[BlobServiceClient]:
    async with storage_client(azurite.connection_string(proxy.port), None, None) as client:
        yield client


async def containers(account: BlobServiceClient) -> Containers:
    made = Containers(*(f"{kind}-{uuid.uuid4().hex[:8]}" for kind in Containers.__slots__))
    for name in (made.uploads, made.results, made.jobs):
        await account.create_container(name)
    return made


@pytest.mark.parametrize("size", [1000, BLOCK + 1000])
async def test_a_video_is_submitted_once(
    account: BlobServiceClient, proxy: StorageProxy, tmp_path: Path, size: int
) -> None:
    names = await containers(account)
    lose_next_answer(proxy)
    (video := tmp_path / "clip.mp4").write_bytes(bytes(size))
    style = StyleRequest(style="udnie")
    submission = await Pipeline(account, names).submit(video, style)
    uploads = [blob async for blob in account.get_container_client(names.uploads).list_blobs()]
    assert [blob.name for blob in uploads] == ["clip.mp4"]
    assert submission.job_id == job_id(names.uploads, "clip.mp4", uploads[0].etag, style)


async def test_a_submission_that_is_cancelled_before_the_answer_leaves_no_upload(
    account: BlobServiceClient, proxy: StorageProxy, tmp_path: Path
) -> None:
    names = await containers(account)
    written = asyncio.Event()

    async def hold(call: BlobCall) -> None:
        if call.operation == "write":
            written.set()
            await asyncio.Event().wait()

    proxy.call_hooks[:] = [hold]
    (video := tmp_path / "clip.mp4").write_bytes(b"video")
    pipeline = Pipeline(account, names)
    submitting = asyncio.create_task(pipeline.submit(video, StyleRequest(style="udnie")))
    await written.wait()
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    proxy.call_hooks.clear()
    assert not await BlobStore(account).exists(names.uploads, "clip.mp4")


async def test_a_video_of_the_same_name_is_submitted_beside_the_first(
    account: BlobServiceClient, tmp_path: Path
) -> None:
    pipeline = Pipeline(account, await containers(account))
    (video := tmp_path / "clip.mp4").write_bytes(b"the same")
    style = StyleRequest(style="udnie")
    found = [(await pipeline.submit(video, style)).video_name for _ in range(3)]
    assert found == ["clip.mp4", "clip-2.mp4", "clip-3.mp4"]


async def test_a_job_is_cancelled_once(account: BlobServiceClient, proxy: StorageProxy) -> None:
    names = await containers(account)
    record = Status(
        job_id=JOB,
        state="stylizing",
        video_name="clip.mp4",
        video_url="https://example.org/clip.mp4",
        style=StyleRequest(style="udnie"),
        started_at="2026-01-01T00:00:00.000+00:00",
        updated_at="2026-01-01T00:01:00.000+00:00",
    )
    pipeline = Pipeline(account, names)
    blob = account.get_blob_client(names.jobs, status_blob(JOB))
    await blob.upload_blob(record.to_json())
    lose_next_answer(proxy)
    assert (await pipeline.cancel(JOB)).state == "cancelled"
    with pytest.raises(StylestreamError, match="is cancelled already"):
        await pipeline.cancel(JOB)
    assert (await pipeline.status(JOB)).state == "cancelled"


async def test_an_attempt_at_a_split_is_counted_once(
    account: BlobServiceClient, proxy: StorageProxy
) -> None:
    lost = lose_next_answer(proxy, "metadata")
    blobs, container = BlobStore(account), f"t{uuid.uuid4().hex[:8]}"
    await account.create_container(container)
    openings = Openings(blobs, container, container, attempts=2)
    video = Video(name="v.mp4", url="u", etag="e", size=1)
    opening = Opening(
        job_id=JOB,
        video=video,
        style=StyleRequest(style="udnie"),
        chunk_frames=8,
        first_chunk_frames=8,
        longest_pause_s=1.0,
    )
    _, version = await openings.keep("v.mp4", "e", opening)
    await openings.begin("v.mp4", "e", opening, version)
    assert lost
    # One more that ends its splitter is allowed, and not two
    await Openings(blobs, container, container, attempts=2).begin("v.mp4", "e", opening)
    with pytest.raises(PermanentError, match="2 times"):
        await Openings(blobs, container, container, attempts=2).begin("v.mp4", "e", opening)


async def test_an_attempt_at_a_result_is_counted_once(
    account: BlobServiceClient, proxy: StorageProxy
) -> None:
    lost = lose_next_answer(proxy, "metadata")
    blobs, container = BlobStore(account), f"t{uuid.uuid4().hex[:8]}"
    await account.create_container(container)
    whole = manifest(JOB, [8])
    await store_whole(blobs, container, whole)
    settings = AssemblerSettings.model_construct(assembly_attempts=2, frames_container=container)
    assert await AssemblyAttempts(settings, blobs).begin(whole) == 0
    assert lost
    assert await AssemblyAttempts(settings, blobs).begin(whole) == 1
    with pytest.raises(ResultError, match="2 times"):
        await AssemblyAttempts(settings, blobs).begin(whole)
