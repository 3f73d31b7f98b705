"""Uploads that do not arrive in one piece: appended to, copied, renamed into place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from azure.storage.blob import BlobProperties, BlobType
from azure.storage.blob.aio import BlobClient
from splits_bench import bench_of
from videos import Video

from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_append_blob_fails_by_name_and_holds_up_nobody(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        blob = bench._client.get_blob_client(bench.settings.uploads_container, "live.ts")
        await blob.upload_blob(Video(frames=8).make(), blob_type=BlobType.APPENDBLOB)
        facts = await bench.blobs.facts(bench.settings.uploads_container, "live.ts")
        assert facts
        await bench.tell("live.ts", facts.etag)

        async def refused() -> bool:
            return bench.failed() == {"APPEND_BLOB"}

        await bench.until(refused)
        clip = await bench.job("clip.mp4", await bench.upload("clip.mp4", 8))
        assert (await bench.sealed(clip.job_id)).frames == 8


async def test_a_file_that_is_renamed_into_place_is_split_once(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        container = bench.settings.uploads_container
        await bench.blobs.create(container, "film.mp4", Video(frames=8).make())
        await bench.tell("film.mp4", "0000-1", renamed=True)
        job = await bench.job("film.mp4", "0000-1")
        assert (await bench.sealed(job.job_id)).frames == 8
        # The same event again, and one of its creation, tell of the same job
        facts = await bench.blobs.facts(container, "film.mp4")
        assert facts
        await bench.tell("film.mp4", "0000-1", renamed=True)
        assert (await bench.job("film.mp4", facts.etag)).job_id == job.job_id


async def test_an_upload_that_storage_is_still_copying_is_waited_for(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, copied, asked = BlobClient.get_blob_properties, asyncio.Event(), asyncio.Event()

    async def pending(self: BlobClient, **options: Any) -> BlobProperties:
        # Azurite copies at once: this is what the service answers meanwhile
        found = await look(self, **options)
        if self.blob_name == "copy.mp4" and not copied.is_set():
            found.copy.status = "pending"
            asked.set()
        return found

    monkeypatch.setattr(BlobClient, "get_blob_properties", pending)
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        container = bench.settings.uploads_container
        await bench.blobs.create(container, "aside.mp4", Video(frames=8).make())
        source = bench._client.get_blob_client(container, "aside.mp4")
        copy = bench._client.get_blob_client(container, "copy.mp4")
        await copy.start_copy_from_url(source.url)
        facts: BlobFacts | None = await BlobStore(bench._client).facts(container, "copy.mp4")
        assert facts
        assert facts.copying
        asked.clear()
        await bench.tell("copy.mp4", facts.etag)
        await asyncio.wait_for(asked.wait(), 60)
        assert await bench.openings(5).find("copy.mp4", facts.etag) is None
        assert bench.failed() == set()
        copied.set()
        job = await bench.job("copy.mp4", facts.etag)
        assert (await bench.sealed(job.job_id)).frames == 8
