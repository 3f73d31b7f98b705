"""The manifest of a long film holds up nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid

import pytest
from manifests import manifest, store_whole

from shared.contracts.manifest import GridShift, Place, read_manifest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.manifests import fetch_manifest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_other_work_goes_on_while_a_long_manifest_is_read(storage_connection: str) -> None:
    # Given two hours of a film in which the camera never rests
    plain = manifest(uuid.uuid4().hex[:24], [32])
    moved = {
        "canvas": tuple(Place(n, -n) for n in range(32)),
        "grid": tuple(GridShift(n % 4, n % 3) for n in range(32)),
    }
    chunks = tuple(dataclasses.replace(plain.chunks[0], index=n, **moved) for n in range(5400))
    film = plain.model_copy(update={"chunks": chunks})
    data = film.to_json()
    # In time of this thread alone: what other threads do, or the machine, must not count
    begun = time.thread_time()
    read_manifest(data)
    reading_s, longest_s = time.thread_time() - begun, 0.0

    async with storage_client(storage_connection, None, None) as client:
        container = f"t{uuid.uuid4().hex[:8]}"
        await client.create_container(container)
        blobs = BlobStore(client)
        await store_whole(blobs, container, film)
        load = asyncio.create_task(fetch_manifest(blobs, container, film.job_id, placed={7}))
        while not load.done():
            turn = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - turn)
        loaded = (await load).manifest
    assert longest_s < reading_s / 2
    # And it takes little memory: a chunk's places are read where they are needed
    assert loaded.chunks[7] == film.chunks[7]
    assert loaded.chunks[:7] == tuple(
        dataclasses.replace(chunk, canvas=(), grid=()) for chunk in film.chunks[:7]
    )
