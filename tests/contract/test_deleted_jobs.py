"""Jobs that their users delete, perhaps before any service has seen that they were cancelled."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from assembler_bench import Bench, assembling, prepared, seal, started
from prometheus_client import CollectorRegistry

from client.account import DEFAULT_CONTAINERS, Containers
from client.pipeline import Pipeline
from shared.contracts.errors import StylestreamError
from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.messages import SegmentReady, SplitCompleted
from shared.contracts.status import CLOSED
from shared.service.clients import AzureClients

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
