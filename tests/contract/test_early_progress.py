"""Jobs that take seconds show their progress, without many more writes of records."""

from __future__ import annotations

import uuid

import pytest
from assembler_bench import running, started

from assembler.job import Job, first_record
from shared.contracts.messages import SegmentReady

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_first_segment_is_in_the_record_before_the_first_round(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(storage_connection, eventhub_connection, status_interval_s=3600) as bench:
        await bench.hub.by_job(started(job))
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))
        status = await bench.record(job, lambda status: status.frames_stylized)
    assert (status.state, status.frames_stylized) == ("splitting", 8)


@pytest.mark.parametrize(("every_s", "most"), [(0.25, 0), (1, 9), (10, 18)])
async def test_records_are_written_the_more_rarely_the_older_their_job_is(
    every_s: float, most: int
) -> None:
    now_s = 1000.0
    job = Job(first_record(started(uuid.uuid4().hex[:24])), None, 3, lambda: now_s)
    written = []
    for chunk in range(600):
        now_s += 0.1
        job.announce(SegmentReady(job_id=job.job_id, chunk=chunk, frames=8))
        if job.is_worth_saving(every_s):
            job.ran("save")
            job.saved(job.status, "etag")
            written.append(now_s - 1000)
    assert len(written) <= most
    if most:
        assert [at < 1 for at in written].count(True) == 2
        assert max(written) < 4 * every_s, "then rounds are often enough"
    assert not job.is_worth_saving(every_s)
