"""Records and manifests that cannot be read affect only their own job."""

from __future__ import annotations

import uuid

import pytest
from assembler_bench import running, seal, started
from manifests import manifest

from assembler.job import Job, first_record
from assembler.stalls import Stalls
from shared.contracts.layout import manifest_blob, progress_blob, status_blob
from shared.contracts.messages import EventPlace, JobRecalled, SegmentReady
from shared.hubs.reach import Reach
from shared.storage.seals import seal as seal_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_unreadable_record_or_manifest_ends_its_job_and_no_other(
    storage_connection: str, eventhub_connection: str
) -> None:
    record, sealed, cut, other = (uuid.uuid4().hex[:24] for _ in range(4))
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.2) as bench:
        jobs, frames = bench.settings.jobs_container, bench.settings.frames_container
        await seal(bench, other, 2)
        for job in (record, sealed, cut):
            await bench.hub.by_job(started(job))
            await bench.until(lambda job=job: bench.look(job))
        # A state of another version, a manifest of another version, and one that was damaged
        strange = (await bench.blobs.read(jobs, status_blob(record)) or b"").replace(
            b'"splitting"', b'"dreaming"'
        )
        await bench.blobs.replace(jobs, status_blob(record), strange)
        newer = manifest(sealed, [8]).to_json().replace(b'"mp4"', b'"webm"')
        await bench.blobs.create(frames, manifest_blob(sealed), newer, metadata=seal_of(newer))
        whole = manifest(cut, [8]).to_json()
        await bench.blobs.create(
            frames, manifest_blob(cut), whole.replace(b"8", b"9", 1), metadata=seal_of(whole)
        )
        codes = [(await bench.ended(job)).error for job in (record, sealed, cut)]
        assert [error and error.code for error in codes] == [
            "RECORD_UNREADABLE",
            "MANIFEST_UNREADABLE",
            "CORRUPT_MANIFEST",
        ]
        # The others' records follow their progress, and their users may cancel them
        await bench.hub.by_job(SegmentReady(job_id=other, chunk=0, frames=8))
        await bench.record(other, lambda status: status.chunks_stylized == 1)
        failed = bench.metrics.get_sample_value(
            "assembler_background_failures_total", {"errand": "jobs"}
        )
        assert failed == 0


async def test_a_record_whose_times_cannot_be_compared_ends_its_job_and_no_other(
    storage_connection: str, eventhub_connection: str
) -> None:
    edited, other = (uuid.uuid4().hex[:24] for _ in range(2))
    async with running(storage_connection, eventhub_connection) as bench:
        # Somebody has written into a record when its job was begun, by the clock on their wall
        record = first_record(started(edited)).model_copy(
            update={"started_at": "2026-11-27T12:00:00"}
        )
        jobs = bench.settings.jobs_container
        await bench.blobs.create(jobs, status_blob(edited), record.to_json())
        for job in (edited, other):
            await bench.hub.by_job(started(job))
        await bench.hub.by_job(SegmentReady(job_id=other, chunk=0, frames=8))
        await bench.record(other, lambda status: status.chunks_stylized == 1)
        error = (await bench.ended(edited)).error
    assert error
    assert error.code == "RECORD_UNREADABLE"
    assert "started_at" in error.message


async def test_a_record_with_an_impossible_place_keeps_no_other_job_from_being_examined(
    storage_connection: str, eventhub_connection: str
) -> None:
    edited, other = (uuid.uuid4().hex[:24] for _ in range(2))
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.2) as bench:
        place = EventPlace.model_construct(partition_id="..", sequence_number=1)
        record = first_record(started(edited)).model_copy(update={"upload_event": place})
        jobs = bench.settings.jobs_container
        await bench.blobs.create(jobs, status_blob(edited), record.to_json())
        await bench.hub.by_job(JobRecalled(job_id=edited))
        await bench.hub.by_job(started(other))
        await bench.record(other, lambda status: status.waiting)


async def test_a_splits_corrupt_progress_counts_as_none(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.2) as bench:
        spoilt = b'{"frames": "all"}'
        await bench.blobs.create(bench.settings.jobs_container, progress_blob(job), spoilt)
        await bench.hub.by_job(started(job))
        await bench.record(job, lambda status: status.waiting)
        failed = bench.metrics.get_sample_value(
            "assembler_background_failures_total", {"errand": "jobs"}
        )
        assert failed == 0


async def test_a_record_that_cannot_be_read_after_a_restart_ends_its_job(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(storage_connection, eventhub_connection) as bench:
        await bench.blobs.create(bench.settings.jobs_container, status_blob(job), b"{}")
        await bench.hub.by_job(started(job))
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))

        async def ended() -> bool:
            data = await bench.blobs.read(bench.settings.jobs_container, status_blob(job))
            return data is not None and b"RECORD_UNREADABLE" in data

        await bench.until(ended)


async def test_one_job_that_cannot_be_examined_keeps_nobody_else_from_it(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good, examine = uuid.uuid4().hex[:24], uuid.uuid4().hex[:24], Stalls.examine

    async def fail_on_one(stalls: Stalls, job: Job, reach: Reach | None) -> None:
        if job.job_id == bad:
            raise RuntimeError("unforeseen")
        await examine(stalls, job, reach)

    monkeypatch.setattr(Stalls, "examine", fail_on_one)
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.2) as bench:
        await bench.hub.by_job(started(bad))
        await seal(bench, good, 2)

        async def counted() -> bool:
            name, labels = "assembler_background_failures_total", {"errand": "jobs"}
            return bool(bench.metrics.get_sample_value(name, labels))

        await bench.record(good, lambda status: status.chunks == 2)
        await bench.until(counted)
