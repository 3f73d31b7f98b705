"""What a job's split has stored is gone after the job's end, whenever that comes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from assembler_bench import Bench, assembling, prepared, running, started
from films import CHUNKS, Film
from prometheus_client import CollectorRegistry
from serving import serving
from splits_bench import bench_of

from assembler import rounds
from assembler import service as assembler
from assembler.metrics import AssemblerMetrics
from shared.contracts.layout import chunk_blob, progress_blob, status_blob
from shared.contracts.messages import ChunkFailed, SplitCompleted
from shared.service.clients import AzureClients
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return Film(tmp_path)


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often names were listed, by prefix."""
    listed, names = Counter[str](), BlobStore.names

    def counted(self: BlobStore, container: str, prefix: str = "") -> AsyncIterator[str]:
        listed[prefix] += 1
        return names(self, container, prefix)

    monkeypatch.setattr(BlobStore, "names", counted)
    return listed


async def store(bench: Bench, film: Film) -> None:
    """Store all that a split leaves."""
    frames = bench.settings.frames_container
    await film.store(bench.blobs, frames, *range(CHUNKS))
    await film.store_split(bench.blobs, frames)


def completed(film: Film, **facts: bool) -> SplitCompleted:
    return SplitCompleted(job_id=film.job_id, chunks=CHUNKS, frames=4 * CHUNKS, **facts)


async def paint(bench: Bench, film: Film) -> None:
    await film.store(bench.blobs, bench.settings.segments_container, *range(CHUNKS))
    for chunk in range(CHUNKS):
        await bench.hub.by_job(film.ready(chunk))


async def is_gone(bench: Bench, film: Film) -> bool:
    """Whether there is nothing of a job but its record and its result."""
    inside, prefix = bench.settings, f"{film.job_id}/"
    places = inside.frames_container, inside.segments_container, inside.jobs_container
    left = [blob.name for place in places async for blob in bench.blobs.items(place, prefix)]
    return left == [status_blob(film.job_id)]


@pytest.mark.parametrize("by_another", [False, True])
async def test_a_split_that_ends_after_its_job_leaves_nothing(
    storage_connection: str, eventhub_connection: str, film: Film, by_another: bool
) -> None:
    failed = ChunkFailed(job_id=film.job_id, chunk=0, code="CHUNK_POISONED", message="it hung")
    async with prepared(storage_connection, eventhub_connection) as bench:
        async with assembling(bench.settings, bench.metrics):
            await bench.hub.by_job(started(film.job_id))
            await bench.hub.by_job(failed)
            await bench.ended(film.job_id)
            await bench.until(lambda: is_gone(bench, film))
            if not by_another:
                await store(bench, film)
                await bench.hub.by_job(completed(film, leftovers=False))
                await bench.until(lambda: is_gone(bench, film))
        if by_another:
            await store(bench, film)
            await bench.hub.by_job(completed(film, leftovers=False))
            async with assembling(bench.settings, CollectorRegistry()):
                await bench.until(lambda: is_gone(bench, film))


async def test_what_the_manifest_names_is_deleted_without_a_listing(
    storage_connection: str, eventhub_connection: str, film: Film, listings: Counter[str]
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        await bench.hub.by_job(started(film.job_id))
        await store(bench, film)
        await bench.hub.by_job(completed(film, leftovers=False))
        await paint(bench, film)
        assert (await bench.ended(film.job_id)).state == "done"
        await bench.until(lambda: is_gone(bench, film))
    assert not listings[f"{film.job_id}/"]


@pytest.mark.parametrize("reports", [[True, False], [False, True]])
async def test_what_no_manifest_names_is_deleted_if_one_of_the_splits_may_have_stored_it(
    storage_connection: str, eventhub_connection: str, film: Film, reports: list[bool]
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        await bench.hub.by_job(started(film.job_id))
        await store(bench, film)
        frames, jobs = bench.settings.frames_container, bench.settings.jobs_container
        await bench.blobs.create(frames, chunk_blob(film.job_id, CHUNKS), b"of an earlier split")
        await bench.blobs.create(jobs, progress_blob(film.job_id), b"{}")
        for leftovers in reports:
            await bench.hub.by_job(completed(film, leftovers=leftovers))
        await paint(bench, film)
        assert (await bench.ended(film.job_id)).state == "done"
        await bench.until(lambda: is_gone(bench, film))


async def test_only_the_first_split_of_a_short_video_knows_that_nothing_else_is_stored(
    storage_connection: str, eventhub_connection: str, reads: Counter[str]
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting(progress_interval_s=60.0):
            etag = await bench.upload("v.mp4", 8)
            job = await bench.job("v.mp4", etag)
            await bench.until(lambda: bench.split(1))
            assert not reads[status_blob(job.job_id)], "the record was looked up"
            await bench.tell("v.mp4", etag)
            await bench.until(lambda: bench.split(2))
        async with bench.splitting(progress_interval_s=0.001):
            other = await bench.job("w.mp4", await bench.upload("w.mp4", 80))
            await bench.painted(other, 100)
            await bench.until(lambda: bench.split(1))
        assert await bench.progress(other.job_id), "the case needs a record"
        ends = await bench.ends(job), await bench.ends(other)
    assert [[end.leftovers for end in of_one] for of_one in ends] == [[False, True], [True]]


async def test_a_job_that_an_assembler_finds_cancelled_as_it_leaves_is_cleaned_up_first(
    storage_connection: str,
    eventhub_connection: str,
    film: Film,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given an assembler that looks for cancellations only once, when it leaves
    monkeypatch.setattr(rounds, "_QUIET_S", 0.0)
    settings = {"status_interval_s": 3600.0}
    async with prepared(storage_connection, eventhub_connection, **settings) as bench:
        async with AzureClients(bench.settings) as clients:
            metrics = AssemblerMetrics(bench.metrics)
            service = await assembler.build(bench.settings, clients, metrics, bench.health)
            in_hand: list[float | None] = []

            async def finish() -> None:
                await service.finish()
                in_hand.append(bench.metrics.get_sample_value("assembler_in_hand"))

            async with serving(dataclasses.replace(service, finish=finish)):
                await bench.hub.by_job(started(film.job_id))
                await store(bench, film)
                record = await bench.record(film.job_id, lambda _: True)
                # When a user cancels and it leaves
                jobs, name = bench.settings.jobs_container, status_blob(film.job_id)
                cancelled = record.model_copy(update={"state": "cancelled"})
                await bench.blobs.delete(jobs, name)
                assert await bench.blobs.create(jobs, name, cancelled.to_json())
        # Then it has finished what that means
        assert in_hand == [0]
        assert await is_gone(bench, film)
