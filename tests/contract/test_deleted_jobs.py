"""Jobs that their users delete do not come back, whenever any service sees an event of theirs."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from assembler_bench import Bench, assembling, prepared, seal, started
from prometheus_client import CollectorRegistry
from splits_bench import Bench as Splits
from splits_bench import bench_of
from videos import Video

from assembler.job import first_record
from client.account import DEFAULT_CONTAINERS, Containers
from client.pipeline import Pipeline
from shared.contracts.errors import StylestreamError
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.messages import ChunkFailed, SegmentReady, SplitCompleted, SplitFailed
from shared.contracts.status import CLOSED, Failure
from shared.contracts.style_request import StyleRequest
from shared.service.clients import AzureClients
from shared.storage.statuses import mark_end
from splitter.openings import Opening

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


def containers_of(bench: Bench) -> Containers:
    """Return the containers of a user whose upload is gone already."""
    jobs = bench.settings.jobs_container
    return replace(DEFAULT_CONTAINERS, uploads=jobs, jobs=jobs)


async def begin(bench: Bench, job: str) -> None:
    """Have an assembler follow a job of three chunks, of which one is painted."""
    await bench.hub.by_job(started(job))
    await seal(bench, job, 3)
    await bench.blobs.create(bench.settings.segments_container, chunk_blob(job, 0), b"painted")
    await bench.hub.by_job(SplitCompleted(job_id=job, chunks=3, frames=24))
    await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))
    await bench.record(job, lambda status: status.chunks_stylized == 1)


async def left_of(bench: Bench, job: str) -> list[str]:
    """Return the names of a job's blobs."""
    inside = bench.settings
    containers = (inside.frames_container, inside.segments_container, inside.jobs_container)
    return [item.name for c in containers async for item in bench.blobs.items(c, f"{job}/")]


@pytest.mark.parametrize("away", [False, True])
async def test_a_job_that_is_cancelled_and_deleted_at_once_does_not_come_back(
    storage_connection: str, eventhub_connection: str, *, away: bool
) -> None:
    job = uuid.uuid4().hex[:24]
    async with (
        prepared(storage_connection, eventhub_connection) as bench,
        AzureClients(bench.settings) as clients,
        AsyncExitStack() as services,
    ):
        pipeline = Pipeline(await clients.blobs(), containers_of(bench))
        await services.enter_async_context(assembling(bench.settings, CollectorRegistry()))
        await begin(bench, job)
        if away:
            await services.aclose()

        await pipeline.cancel(job)
        await pipeline.delete(job)

        assert (await pipeline.view(job)).status is None
        assert await pipeline.list() == []
        for ask in (pipeline.cancel, pipeline.delete, pipeline.status):
            with pytest.raises(StylestreamError, match="no job"):
                await ask(job)
        # A stylizer that has not seen it either
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=1, frames=8))
        if away:
            await services.enter_async_context(assembling(bench.settings, CollectorRegistry()))
        await bench.until(lambda: is_gone(bench, job))
        assert not await bench.dead_letters()


async def is_gone(bench: Bench, job: str) -> bool:
    return not await left_of(bench, job)


async def test_the_record_of_a_cancelled_job_is_deleted_at_once_if_no_service_needs_it(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with (
        prepared(storage_connection, eventhub_connection) as bench,
        AzureClients(bench.settings) as clients,
    ):
        pipeline = Pipeline(await clients.blobs(), containers_of(bench))
        jobs = bench.settings.jobs_container

        async def is_closed() -> bool:
            record = await bench.blobs.facts(jobs, status_blob(job))
            return record is not None and CLOSED in record.metadata

        async with assembling(bench.settings, CollectorRegistry()):
            await begin(bench, job)
            await pipeline.cancel(job)
            await bench.until(is_closed)
        assert (await pipeline.status(job)).state == "cancelled"
        assert [each.state for each in await pipeline.list()] == ["cancelled"]
        await pipeline.delete(job)
        assert await bench.blobs.facts(jobs, status_blob(job)) is None


@pytest.mark.parametrize("passed", [0, 1, 2])
async def test_events_of_a_deleted_job_that_come_again_open_no_job(
    storage_connection: str, eventhub_connection: str, passed: int
) -> None:
    """A checkpoint passes none of them behind a long job's, or only the first few."""
    job, other = uuid.uuid4().hex[:24], uuid.uuid4().hex[:24]
    failed = ChunkFailed(job_id=job, chunk=1, code="CHUNK_POISONED", message="it hung")
    painted = SegmentReady(job_id=job, chunk=0, frames=8)
    events = [started(job), SplitCompleted(job_id=job, chunks=3, frames=24), painted, failed]
    async with (
        prepared(storage_connection, eventhub_connection) as bench,
        AzureClients(bench.settings) as clients,
    ):
        pipeline = Pipeline(await clients.blobs(), containers_of(bench))
        async with assembling(bench.settings, CollectorRegistry()):
            await begin(bench, job)
            await bench.hub.by_job(failed)
            assert (await bench.ended(job)).state == "failed"
            await pipeline.delete(job)
        # To an assembler that knows nothing of the job, and after them those of another
        end = SplitFailed(job_id=other, code="NO_VIDEO", message="there is none")
        for event in (*events[passed:], started(other), end):
            await bench.hub.to_partition(event, "0")
        async with assembling(bench.settings, CollectorRegistry()):
            await bench.ended(other)
        assert [each.job_id for each in await pipeline.list()] == [other]
        assert not await left_of(bench, job)
        assert not await bench.dead_letters()


async def delete(bench: Splits, job: str, name: str) -> None:
    """Delete a job that has ended, as its assembler and its user do."""
    inside = bench.settings
    await mark_end(bench.blobs, inside.frames_container, job)
    await bench.blobs.delete_all(inside.frames_container, f"{job}/")
    await bench.blobs.delete_all(inside.jobs_container, f"{job}/")
    await bench.blobs.delete(inside.uploads_container, name)


@pytest.mark.parametrize("uploaded_again", [False, True])
async def test_a_deleted_jobs_upload_is_not_split_if_its_event_comes_again(
    storage_connection: str, eventhub_connection: str, *, uploaded_again: bool
) -> None:
    video = Video(frames=8).make()
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.put("v.mp4", video)
            job = await bench.job("v.mp4", etag)
            await bench.until(lambda: bench.split(1))
        await delete(bench, job.job_id, "v.mp4")
        if uploaded_again:
            await bench.store("v.mp4", video)
        other = await bench.store("w.mp4", video)
        async with bench.splitting():
            pairs = (("v.mp4", etag), ("w.mp4", other))
            await bench.send([bench.announcement(*pair) for pair in pairs])
            await bench.until(lambda: bench.split(1))
            await bench.until(lambda: is_idle(bench))
            assert not bench.failed()
        assert (await bench.job("w.mp4", other)).job_id != job.job_id
        assert len(await bench.ends(job)) == 1
        frames = bench.settings.frames_container
        assert not [name async for name in bench.blobs.names(frames, f"{job.job_id}/")]


async def is_idle(bench: Splits) -> bool:
    return bench.metrics.get_sample_value("splitter_in_hand") == 0


async def test_a_split_ends_whose_job_was_deleted_before_the_splitter_has_seen_its_end(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with (
        bench_of(storage_connection, eventhub_connection) as bench,
        bench.splitting(),
    ):
        job = await bench.job("film.mp4", await bench.upload("film.mp4", 80))
        await bench.waits_for(job, "a stylizer")
        await delete(bench, job.job_id, "film.mp4")
        await bench.until(lambda: bench.over(1))


async def test_the_upload_of_a_job_that_replaces_an_abandoned_one_is_deleted_with_it_alone(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        uploads, jobs = bench.settings.uploads_container, bench.settings.jobs_container
        await bench.store("v.mp4", b"video")
        facts = await bench.blobs.facts(uploads, "v.mp4")
        assert facts
        first = Opening.of("v.mp4", facts, StyleRequest(style="udnie"), bench.settings)
        second = first.renewed()
        third = second.renewed()

        async def end(opening: Opening, **how: object) -> None:
            begun = started(opening.job_id).model_copy(
                update={"video_name": "v.mp4", "style": opening.style}
            )
            ended = first_record(begun).model_copy(update=how)
            await bench.blobs.create(jobs, status_blob(opening.job_id), ended.to_json())

        for opening in (first, second):
            error = Failure(code="SPLIT_ANEW", message="it is painted as another job")
            await end(opening, state="failed", error=error)
        await end(third, state="done")
        for opening in (first, second):
            await bench.pipeline().delete(opening.job_id)
        assert await bench.blobs.facts(uploads, "v.mp4"), "the third needs it"
        await bench.pipeline().delete(third.job_id)
        assert await bench.blobs.facts(uploads, "v.mp4") is None
