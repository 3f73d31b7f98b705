"""Leases that users, or their backup tools, hold on a job's own blobs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from assembler_bench import DEADLINE_S, assembling, prepared, started
from azure.storage.blob.aio import BlobServiceClient
from films import Film, bring, left_in
from prometheus_client import CollectorRegistry

from assembler import conclusion
from shared.contracts.layout import progress_blob, result_blob, status_blob
from shared.contracts.messages import ChunkFailed, SplitCompleted
from shared.storage.accounts import storage_client
from shared.storage.retry import Retry
from splitter.cuts import Cuts
from splitter.job_monitor import JobMonitors, JobOver
from splitter.metrics import SplitterMetrics
from splitter.pace import Pace
from splitter.settings import SplitterSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def user(storage_connection: str) -> AsyncIterator[BlobServiceClient]:
    async with storage_client(storage_connection, None, None) as client:
        yield client


@pytest.fixture
def films(tmp_path: Path) -> tuple[Film, Film]:
    for name in "ab":
        (tmp_path / name).mkdir()
    return Film(tmp_path / "a"), Film(tmp_path / "b")


def held_up(metrics: CollectorRegistry) -> float:
    return metrics.get_sample_value("assembler_leased_records") or 0


async def _is(truth: object) -> bool:
    return bool(truth)


async def test_a_leased_record_delays_the_end_of_its_own_job_alone(
    storage_connection: str,
    eventhub_connection: str,
    user: BlobServiceClient,
    films: tuple[Film, Film],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conclusion, "LEASE_LOOK_S", 0.1)
    (work := tmp_path / "work").mkdir()
    film, other = films
    settings = {"work_dir": str(work), "drafts": 1, "assembly_attempts": 2}
    async with prepared(storage_connection, eventhub_connection, **settings) as bench:
        results = bench.settings.results_container
        name = result_blob(film.manifest.video_name, film.manifest.style.slug, "mp4")
        async with assembling(bench.settings, bench.metrics):
            await bench.hub.by_job(started(film.job_id))
            await bench.until(lambda: bench.look(film.job_id))
            record = user.get_blob_client(bench.settings.jobs_container, status_blob(film.job_id))
            lease = await record.acquire_lease(-1)
            await bring(bench, film)
            await bench.until(lambda: _is(held_up(bench.metrics)))
            assert await bench.blobs.read(results, name) == film.made(tmp_path)
            # Nothing of it is kept in the work folder, and other jobs end
            await bring(bench, other)
            assert (await bench.ended(other.job_id)).state == "done"
            await bench.until(lambda: _is(not left_in(work)))

        # However often its assembler is replaced, nothing is lost, and nothing blamed on the video
        for _ in range(3):
            metrics = CollectorRegistry()
            async with assembling(bench.settings, metrics):
                await bench.until(lambda metrics=metrics: _is(held_up(metrics)))
        async with assembling(bench.settings, CollectorRegistry()):
            await lease.release()
            status = await bench.ended(film.job_id)
        assert (status.state, status.error, status.warnings) == ("done", None, ())
        assert status.result == name
        assert await bench.blobs.read(results, name) == film.made(tmp_path)


async def test_a_leased_record_of_progress_holds_up_neither_its_split_nor_its_jobs_end(
    storage_connection: str, eventhub_connection: str, user: BlobServiceClient
) -> None:
    async with prepared(storage_connection, eventhub_connection) as bench:
        job, container = uuid.uuid4().hex[:24], bench.settings.jobs_container
        await bench.blobs.create(container, progress_blob(job), b"{}")
        await user.get_blob_client(container, progress_blob(job)).acquire_lease(-1)
        async with asyncio.timeout(DEADLINE_S), assembling(bench.settings, bench.metrics):
            await bench.hub.by_job(started(job))
            await bench.until(lambda: bench.look(job))
            metrics = SplitterMetrics(CollectorRegistry())
            settings = SplitterSettings(
                storage_connection_string=storage_connection,  # type: ignore[arg-type]
                eventhub_connection_string=eventhub_connection,  # type: ignore[arg-type]
                jobs_container=container,
                progress_interval_s=0.1,
            )
            monitor = JobMonitors(settings, bench.blobs, Retry(metrics)).of(job)
            watching = asyncio.create_task(monitor.run(Pace(8, 60, metrics), Cuts()))
            await bench.until(lambda: _is(monitor.has_recorded))
            failed = ChunkFailed(job_id=job, chunk=0, code="CHUNK_POISONED", message="it hung")
            await bench.hub.by_job(failed)
            with pytest.raises(JobOver):
                await watching
            # Nor, when the split reports its end, other jobs, of which each partition has some
            await bench.hub.by_job(SplitCompleted(job_id=job, chunks=1, frames=8))
            others = [f"{number:024x}" for number in range(16)]
            for other in others:
                await bench.hub.by_job(started(other))
            for other in others:
                await bench.until(lambda other=other: bench.look(other))
