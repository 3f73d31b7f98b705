"""Two assemblers on one hub, and records that others have written: the last word is one word."""

from __future__ import annotations

import uuid

import pytest
from contract.test_services import Bench, assembling, running, started
from contract.test_stalls import seal
from prometheus_client import CollectorRegistry

from assembler.job import Job
from assembler.records import Records
from shared.contracts.layout import status_blob
from shared.contracts.messages import ChunkFailed, SplitCompleted
from shared.contracts.status import Failure, Status

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOBS = 8


def followed(metrics: CollectorRegistry) -> float:
    return metrics.get_sample_value("assembler_in_hand") or 0


async def test_jobs_go_with_their_partition_and_nobody_else_judges_them(
    storage_connection: str, eventhub_connection: str
) -> None:
    jobs = [uuid.uuid4().hex[:24] for _ in range(JOBS)]
    async with running(storage_connection, eventhub_connection) as bench:
        for job in jobs:
            await seal(bench, job, 2)
            await bench.hub.by_job(SplitCompleted(job_id=job, chunks=2, frames=16))
        await bench.until(lambda: _is(followed(bench.metrics) == JOBS))
        other = CollectorRegistry()
        async with assembling(bench.settings, other):
            await bench.until(lambda: _is(followed(other) > 0))
            await bench.until(lambda: _is(followed(bench.metrics) + followed(other) == JOBS))
            assert followed(bench.metrics) > 0
            # Each hears of its own jobs alone, and ends them.
            for job in jobs:
                failed = ChunkFailed(job_id=job, chunk=0, code="CHUNK_POISONED", message="it hung")
                await bench.hub.by_job(failed)
            ends = [await bench.ended(job) for job in jobs]
            await bench.until(lambda: _is(followed(bench.metrics) + followed(other) == 0))
    assert [end.error and end.error.code for end in ends] == ["CHUNK_POISONED"] * JOBS


async def _is(truth: bool) -> bool:
    return truth


async def failed_behind_others(bench: Bench, **others: object) -> tuple[Job, Status | None]:
    """Fail a job whose record somebody else has changed meanwhile; return it and its record."""
    job_id, container = uuid.uuid4().hex[:24], bench.settings.jobs_container
    records = Records(bench.blobs, container, redrives=3)
    await bench.hub.by_job(started(job_id))
    await bench.until(lambda: bench.look(job_id))
    job = await records.find(job_id)
    assert job is not None
    changed = job.status.model_copy(update=others)
    await bench.blobs.replace(container, status_blob(job_id), changed.to_json())

    job.fail("OUT_OF_PAINT", "no paint is left")
    await records.save(job)
    return job, await bench.look(job_id)


async def test_the_end_of_a_job_is_stored_whatever_others_wrote_meanwhile(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        job, stored = await failed_behind_others(bench, chunks_stylized=1)
    assert stored is not None
    assert stored.error == Failure(code="OUT_OF_PAINT", message="no paint is left")
    assert not job.unsaved


async def test_an_end_that_somebody_else_stored_stays(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        job, stored = await failed_behind_others(bench, state="cancelled")
    assert stored is not None
    assert (stored.state, job.status.state) == ("cancelled", "cancelled")


async def test_a_record_that_was_deleted_is_written_anew(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        job_id, container = uuid.uuid4().hex[:24], bench.settings.jobs_container
        await bench.hub.by_job(started(job_id))
        await bench.until(lambda: bench.look(job_id))
        await bench.blobs.delete(container, status_blob(job_id))

        failed = ChunkFailed(job_id=job_id, chunk=0, code="CHUNK_POISONED", message="it hung")
        await bench.hub.by_job(failed)

        status: Status = await bench.ended(job_id)
        assert status.state == "failed"
