"""A split that stood still while its job ended leaves nothing behind."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from splits_bench import bench_of

from shared.contracts.layout import progress_blob
from shared.storage.retry import Retry
from splitter.job_monitor import JobMonitor, JobOver
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
        monitor = JobMonitor(job.job_id, bench.settings, bench.blobs, Retry(metrics))
        monitor.waiting_for = "a splitter"
        async with asyncio.timeout(30):
            with pytest.raises(JobOver):
                await monitor.run(Pace(8, 60, metrics), [])
        assert await bench.blobs.facts(container, progress) is None
