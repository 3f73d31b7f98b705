"""Splits that stood still or were killed leave nothing behind, and those that wait cost little."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from decoder_child import open_files
from prometheus_client import CollectorRegistry
from splits_bench import DEADLINE_S, SIZE, bench_of
from videos import Video

from shared.contracts.layout import chunk_blob, progress_blob, status_blob
from shared.storage.retry import Retry
from splitter.cuts import Cuts
from splitter.job_monitor import JobMonitors, JobOver
from splitter.metrics import SplitterMetrics
from splitter.pace import Pace

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_split_whose_job_ended_while_it_stood_still_stores_no_progress(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            job = await bench.job("v.mp4", await bench.upload("v.mp4", 8))
            await bench.sealed(job.job_id)
        # Given that another splitter had split it, and that the job has ended and was cleaned up
        await bench.end(job)
        container, progress = bench.settings.jobs_container, progress_blob(job.job_id)
        await bench.blobs.delete(container, progress)
        metrics = SplitterMetrics(CollectorRegistry())
        monitor = JobMonitors(bench.settings, bench.blobs, Retry(metrics)).of(job.job_id)
        monitor.waiting_for = "a splitter"
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(JobOver):
                await monitor.run(Pace(8, 60, metrics), Cuts())
        assert await bench.blobs.facts(container, progress) is None


async def test_what_a_killed_splitter_stored_after_its_job_ended_is_deleted_with_its_event(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.upload("v.mp4", 8)
            job = await bench.job("v.mp4", etag)
            await bench.sealed(job.job_id)
        # Given a job that has ended and was cleaned up, and a splitter that wrote once more
        await bench.end(job)
        await bench.blobs.delete_all(bench.settings.frames_container, f"{job.job_id}/")
        late = (
            (bench.settings.jobs_container, progress_blob(job.job_id)),
            (bench.settings.frames_container, chunk_blob(job.job_id, 0)),
        )
        for container, name in late:
            await bench.blobs.replace(container, name, b"{}")
        # When its event comes again
        async with bench.splitting():
            await bench.tell("v.mp4", etag)

            async def deleted() -> bool:
                return not any([await bench.blobs.facts(*blob) for blob in late])

            await bench.until(deleted)


async def test_twelve_videos_that_wait_need_no_folder_no_file_and_few_requests(
    storage_connection: str,
    eventhub_connection: str,
    tmp_path: Path,
    reads: Counter[str],
) -> None:
    own = {"work_dir": str(tmp_path), "budget_open_jobs": 1}
    async with (
        bench_of(storage_connection, eventhub_connection, **own) as bench,
        bench.splitting(),
    ):
        first = await bench.job("1.mp4", await bench.upload("1.mp4", 8))
        await bench.sealed(first.job_id)
        files = open_files()
        names, video = [f"{n}.mp4" for n in range(2, 14)], Video(frames=8, size=SIZE).make()
        etags = await asyncio.gather(*(bench.put(name, video) for name in names))
        waiting = [await bench.job(name, etag) for name, etag in zip(names, etags, strict=True)]
        await bench.until(lambda: bench.all_wait_for_budget(len(names)))
        for job in waiting:
            await bench.waits_for(job, "budget")
        assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
        assert open_files() < files + 10, "a file a video"
        # Alone, each would look ten times a second; together they look twenty times.
        reads.clear()

        async def all_looked() -> bool:
            return all(reads[status_blob(job.job_id)] for job in waiting)

        await bench.until(all_looked)
        assert max(reads[status_blob(job.job_id)] for job in waiting) <= 3
        # And none of them holds up a video of somebody within their budget
        clip = await bench.job("bob/clip.mp4", await bench.upload("bob/clip.mp4", 8))
        await bench.sealed(clip.job_id)
