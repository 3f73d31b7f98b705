"""Long outages of dependencies, long jobs, many jobs: proofs that take minutes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from e2e.conftest import Pipeline, running
from videos import Sound, Video, packets, times

_GROWTH_MIB = 64
"""What 80,000 frames may add: indexes of chunks and frames, a few hundred bytes for each."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pipeline(tmp_path_factory) -> AsyncIterator[Pipeline]:
    """A stack with two stylizers."""
    async with running(tmp_path_factory.mktemp("outages"), 2, PROBE_INTERVAL_S="1") as pipeline:
        yield pipeline


async def live(pipeline: Pipeline) -> list[int]:
    async with aiohttp.ClientSession() as session:
        found = []
        for name in ("splitter", "stylizer-1", "stylizer-2", "assembler"):
            async with session.get(f"{pipeline.stack.endpoints[name]}/healthz") as response:
                found.append(response.status)
        return found


@pytest.mark.parametrize("away_s", [30, 300])
@pytest.mark.parametrize("dependency", ["eventhubs", "azurite"])
async def test_a_job_survives_an_unavailable_dependency(
    pipeline: Pipeline, dependency: str, away_s: int
) -> None:
    video = Video(frames=400, size=(320, 180), sounds=[Sound()]).make()
    job = await pipeline.submit(f"{dependency}-{away_s}.mp4", video)
    await pipeline.stylized(job, 3)
    restarts = {p.name: p.restarts for p in pipeline.stack.processes}
    process = pipeline.process(dependency)
    os.kill(process.pid, signal.SIGSTOP)
    await asyncio.sleep(away_s)
    assert await live(pipeline) == [200] * 4
    os.kill(process.pid, signal.SIGCONT)
    status = await pipeline.ended(job)
    assert status.state == "done", status.error
    result = await pipeline.result(status)
    assert times(result) == times(video)
    assert packets(result) == packets(video)
    assert {p.name: p.restarts for p in pipeline.stack.processes} == restarts


async def test_two_hundred_small_jobs_beside_a_long_one_all_end_and_none_waits_for_the_long_one(
    pipeline: Pipeline,
) -> None:
    long = await pipeline.submit("long.mp4", Video(frames=6000, size=(96, 64)).make())
    await pipeline.stylized(long, 1)
    small = Video(frames=12, size=(96, 64)).make()
    jobs = [await pipeline.submit(f"small-{number:03}.mp4", small) for number in range(200)]
    for job in jobs:
        status = await pipeline.ended(job)
        assert status.state == "done", status.error
        assert times(await pipeline.result(status)) == times(small)
    view = await pipeline.jobs.view(long)
    assert view.status
    assert not view.status.ended, "the long job was over before the small ones"
    assert (await pipeline.ended(long)).state == "done"


async def test_a_hundred_thousand_frames_come_back_in_flat_memory(tmp_path_factory) -> None:
    video = await asyncio.to_thread(Video(frames=100_000, size=(16, 16)).make)
    folder = tmp_path_factory.mktemp("endless")
    # The chunks of real life: this is about their number, not about that of the events.
    async with running(folder, 2, CHUNK_FRAMES="32") as pipeline:
        job = await pipeline.submit("endless.mp4", video)
        await pipeline.stylized(job, 600, deadline_s=600)
        early = peaks(pipeline)
        status = await pipeline.ended(job, deadline_s=1500)
        assert status.state == "done", status.error
        late = peaks(pipeline)
        assert times(await pipeline.result(status)) == times(video)
    print(f"peaks in MiB after a fifth: {early}, in the end: {late}")
    for name, peak in late.items():
        assert peak < early[name] + _GROWTH_MIB, f"{name} grew from {early[name]} to {peak} MiB"


def peaks(pipeline: Pipeline) -> dict[str, int]:
    """Return the processes' peak memory in MiB."""
    usages = {process.name: process.usage() for process in pipeline.stack.processes}
    return {name: usage.peak_rss_bytes >> 20 for name, usage in usages.items() if usage}
