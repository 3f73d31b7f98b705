"""The client API on a running stack, and the example of its docstring."""

from __future__ import annotations

import asyncio
import doctest
from pathlib import Path

import pytest
from e2e.conftest import DEADLINE_S
from videos import Video

import client
from client import StylestreamError, open_pipeline

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(Video(frames=8, size=(96, 64)).make())
    return path


async def test_the_docstring_example_runs(pipeline, video: Path) -> None:
    names = {"directory": pipeline.stack.options.directory, "video": video}
    example = doctest.DocTestParser().get_doctest(client.__doc__ or "", names, "client", None, 0)
    report: list[str] = []
    await asyncio.to_thread(doctest.DocTestRunner().run, example, out=report.append)
    assert example.examples
    assert not report, "".join(report)


async def test_a_deleted_job_leaves_nothing(pipeline, video: Path) -> None:
    async with open_pipeline(pipeline.stack.options.directory) as user:
        job = (await user.submit(video, client.StyleRequest(style="udnie"))).job_id
        with pytest.raises(StylestreamError, match=r"no job|cancel it first"):
            await user.delete(job)
        status = await pipeline.ended(job)
        await user.delete(job)
        assert job not in {record.job_id for record in await user.list()}
    assert not await pipeline.blobs.exists("uploads", status.video_name)
    assert not await pipeline.blobs.exists("results", status.result)
    assert not [name async for name in pipeline.blobs.names("jobs", job)]


async def left_of(pipeline, job: str) -> list[str]:
    return [
        name
        for container in ("frames", "segments", "jobs")
        async for name in pipeline.blobs.names(container, f"{job}/")
    ]


async def test_a_job_that_is_cancelled_and_deleted_while_it_is_painted_leaves_nothing(
    pipeline,
) -> None:
    job = await pipeline.submit("unwanted.mp4", Video(frames=400, size=(96, 64)).make())
    await pipeline.stylized(job, 1)
    letters = {name async for name in pipeline.blobs.names("dead-letters")}
    await pipeline.jobs.cancel(job)
    await pipeline.jobs.delete(job)
    async with asyncio.timeout(DEADLINE_S):
        while await left_of(pipeline, job) or await pipeline.lag():
            await asyncio.sleep(0.1)
    assert job not in {record.job_id for record in await pipeline.jobs.list()}
    assert not await pipeline.blobs.exists("uploads", "unwanted.mp4")
    assert {name async for name in pipeline.blobs.names("dead-letters")} == letters


async def test_a_replaced_upload_outlives_the_job_of_its_earlier_version(
    pipeline,
) -> None:
    job = await pipeline.submit("twice.mp4", Video(frames=8, size=(96, 64)).make())
    await pipeline.ended(job)
    newer = Video(frames=4, size=(64, 48)).make()
    facts = await pipeline.blobs.facts("uploads", "twice.mp4")
    assert await pipeline.blobs.replace("uploads", "twice.mp4", newer, etag=facts.etag)
    await pipeline.jobs.delete(job)
    assert await pipeline.blobs.exists("uploads", "twice.mp4")
