"""Two assemblers on one hub, and records that others have written: a job ends once."""

from __future__ import annotations

import uuid

import pytest
from assembler_bench import Bench, assembling, running, seal, started
from azurites import port_of
from manifests import manifest, store_whole
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from assembler.job import Job, first_record
from assembler.loop import Assembler
from assembler.records import Records
from chaos.storage_proxy import REFUSALS, StorageProxy
from local import azurite
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.messages import ChunkFailed, SplitCompleted
from shared.contracts.status import Cost, Failure, Status
from shared.hubs.delivery import Delivery

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOBS = 8


def followed(metrics: CollectorRegistry) -> float:
    return metrics.get_sample_value("assembler_in_hand") or 0


async def test_jobs_go_with_their_partition_and_nobody_else_judges_them(
    storage_connection: str, eventhub_connection: str
) -> None:
    # Of names drawn by lot, all might fall into one partition.
    jobs = [f"{number:024x}" for number in range(JOBS)]
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


async def test_an_event_that_waits_for_storage_while_its_partition_is_lost_is_the_new_owners(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, port, take = uuid.uuid4().hex[:24], port_of(storage_connection), Assembler.take
    taken: list[Assembler] = []

    async def noted(assembler: Assembler, delivery: Delivery) -> None:
        await take(assembler, delivery)
        taken.append(assembler)

    monkeypatch.setattr(Assembler, "take", noted)
    async with (
        StorageProxy(lambda: port, lambda _: None) as proxy,
        running(azurite.connection_string(proxy.port), eventhub_connection) as bench,
    ):
        hub = {"hub": bench.settings.segments_hub}
        owned = ("assembler_owned_partitions", hub)
        await bench.until(lambda: _is(bench.metrics.get_sample_value(*owned) == 2))
        # Given an assembler that cannot reach storage, by which it could keep its partitions
        proxy.refusing = "503"
        await bench.hub.by_job(started(job))
        reachable = {"storage_connection_string": SecretStr(storage_connection)}
        other = CollectorRegistry()
        async with assembling(bench.settings.model_copy(update=reachable), other):
            await bench.until(lambda: _is(followed(other) == 1))
            await bench.until(lambda: _is(bench.metrics.get_sample_value(*owned) == 0))
            # When it can do so again, and goes on with the event
            proxy.refusing = None
            await bench.until(lambda: _is(len({*taken}) == 2))
            # Then one of the two follows the job, at most: it may be about to be given its share
            assert followed(bench.metrics) + followed(other) <= 1
            await bench.until(lambda: _is(followed(bench.metrics) + followed(other) == 1))


async def _is(truth: bool) -> bool:
    return truth


async def there(bench: Bench, job: str) -> Status:
    """Wait until a job has a record."""
    await bench.until(lambda: bench.look(job))
    status = await bench.look(job)
    assert status is not None
    return status


async def failed_behind_others(bench: Bench, **others: object) -> tuple[Job, Status | None]:
    """Fail a job whose record somebody else has changed meanwhile; return it and its record."""
    job_id, container = uuid.uuid4().hex[:24], bench.settings.jobs_container
    inside = bench.settings
    records = Records(
        bench.blobs, container, inside.results_container, inside.frames_container, redrives=3
    )
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


async def test_a_record_that_was_deleted_is_written_again(
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


async def test_a_record_that_names_another_job_ends_its_own_and_touches_nothing_of_the_other(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        jobs, frames = bench.settings.jobs_container, bench.settings.frames_container
        mine, victim = (uuid.uuid4().hex[:24] for _ in range(2))
        for job in (mine, victim):
            await bench.hub.by_job(started(job))
        record = await there(bench, mine)
        await there(bench, victim)
        await bench.blobs.create(frames, chunk_blob(victim, 0), b"a chunk on its way")
        # Given a user who cancels with a record that names somebody else's job
        forged = record.model_copy(update={"state": "cancelled", "job_id": victim})
        await bench.blobs.replace(jobs, status_blob(mine), forged.to_json())

        async def mended() -> bool:
            return (await there(bench, mine)).job_id == mine

        await bench.until(mended)
        status = await there(bench, mine)
        assert status.error
        assert status.error.code == "RECORD_UNREADABLE"
        assert await bench.blobs.read(frames, chunk_blob(victim, 0)) == b"a chunk on its way"
        assert not (await there(bench, victim)).ended


@pytest.mark.parametrize(
    "claim",
    [
        {"state": "done", "result": "others.mp4"},
        {"state": "done"},
        {"state": "done", "result": ""},
        {"state": "done", "result": "../jobs/others.mp4"},
        {"state": "failed", "error": Failure(code="MADE_UP", message="buy now")},
        {"state": "cancelled", "result": "others.mp4"},
        {"state": "cancelled", "video_name": "others.mp4"},
    ],
)
async def test_an_end_that_no_assembler_stored_is_a_cancellation(
    storage_connection: str, eventhub_connection: str, claim: dict[str, object]
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        # Given somebody else's result
        await bench.blobs.create(
            bench.settings.results_container, "others.mp4", b"film", metadata={"job_id": "another"}
        )
        job, stored = await failed_behind_others(bench, **claim)
    assert stored is not None
    assert (stored.state, stored.result, stored.error) == ("cancelled", None, None)
    assert stored.video_name == job.status.video_name != "others.mp4"


@pytest.mark.parametrize("cpu_s", [-5.0, 1e300])
async def test_the_cost_that_a_user_writes_into_a_record_is_not_counted(
    storage_connection: str, eventhub_connection: str, cpu_s: float
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        jobs, frames = bench.settings.jobs_container, bench.settings.frames_container
        job = uuid.uuid4().hex[:24]
        await bench.hub.by_job(started(job))
        record = await there(bench, job)
        await bench.blobs.create(frames, chunk_blob(job, 0), b"a chunk on its way")
        # When a user cancels with a record that names another cost
        made_up = {"state": "cancelled", "cost": Cost(cpu_s=cpu_s)}
        cancelled = record.model_copy(update=made_up).to_json()
        await bench.blobs.replace(jobs, status_blob(job), cancelled)
        # Then the job ends as always

        async def gone() -> bool:
            return not await bench.blobs.exists(frames, chunk_blob(job, 0))

        await bench.until(gone)
        assert not await bench.dead_letters()
        where = {"tenant": "(none)", "on": "cpu"}
        assert bench.metrics.get_sample_value("assembler_work_seconds_total", where) == 0


async def test_a_refusal_of_storage_that_passes_fails_no_job(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REFUSALS, "400", "SomethingNew")
    port = port_of(storage_connection)
    sealed, fresh = (uuid.uuid4().hex[:24] for _ in range(2))
    async with (
        StorageProxy(lambda: port, lambda _: None) as proxy,
        running(azurite.connection_string(proxy.port), eventhub_connection) as bench,
    ):
        await seal(bench, sealed, 2)
        await there(bench, sealed)
        proxy.refusing = "400"
        await bench.hub.by_job(SplitCompleted(job_id=sealed, chunks=2, frames=16))
        await bench.hub.by_job(started(fresh))
        retried = "assembler_retries_total"
        await bench.until(lambda: _is(bench.metrics.get_sample_value(retried)))
        proxy.refusing = None
        await bench.record(sealed, lambda status: status.chunks == 2 or status.ended)
        states = [(await there(bench, job)).state for job in (sealed, fresh)]
    assert states == ["stylizing", "splitting"]


async def test_the_end_that_another_assembler_stored_is_taken_over(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        records = Records(
            bench.blobs,
            bench.settings.jobs_container,
            bench.settings.results_container,
            bench.settings.frames_container,
            redrives=3,
        )
        job_id = uuid.uuid4().hex[:24]
        await bench.hub.by_job(started(job_id))
        await there(bench, job_id)
        one, other = [await records.find(job_id) for _ in range(2)]
        assert one
        assert other
        result = f"{job_id}.mp4"
        await bench.blobs.create(
            bench.settings.results_container, result, b"film", metadata={"job_id": job_id}
        )
        one.publish(result)
        await records.save(one)
        other.fail("OUT_OF_PAINT", "no paint is left")
        await records.save(other)
        assert (other.status.state, other.status.result) == ("done", result)


async def test_a_restart_believes_the_splitter_and_not_the_record(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        jobs, job_id = bench.settings.jobs_container, uuid.uuid4().hex[:24]
        # Given a record that was edited while no assembler ran
        said = started(job_id)
        edited = first_record(said).model_copy(
            update={"video_name": "others.mov", "result": "others.mp4", "frames_stylized": 7}
        )
        await bench.blobs.create(jobs, status_blob(job_id), edited.to_json())
        await bench.hub.by_job(said)
        await bench.hub.by_job(
            ChunkFailed(job_id=job_id, chunk=0, code="CHUNK_POISONED", message="")
        )
        status = await bench.ended(job_id)
        assert (status.state, status.video_name, status.result) == ("failed", said.video_name, None)


async def test_a_manifest_among_the_records_is_not_followed(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with running(storage_connection, eventhub_connection) as bench:
        job = uuid.uuid4().hex[:24]
        await bench.hub.by_job(started(job))
        # Given a user's manifest, where users may write
        forged = manifest(job, [8])
        await store_whole(bench.blobs, bench.settings.jobs_container, forged)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=1, frames=8))
        status = await bench.ended(job)
        assert status.error
        assert status.error.code == "MANIFEST_MISSING"
