"""What users notice: exact results, and clear sentences for bad videos.

That nothing is lost to a kill is proven in ``tests/chaos``.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction

import aiohttp
import pytest
from videos import Sound, Video, packets, presented, times

from shared.contracts.messages import ChunkReady, SegmentReady
from shared.contracts.status import Status

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]
DEADLINE_S = 90.0


async def assert_exact(pipeline, status: Status, video: bytes) -> None:
    """The result has the source's frames in order, at its times, and its sound, bit for bit."""
    assert status.state == "done", status.error
    result = await pipeline.result(status)
    assert times(result) == times(video)
    assert status.frames == len(times(video))
    if packets_of(video):
        assert packets_of(result) == packets_of(video)


def packets_of(video) -> list[tuple[Fraction, bytes]]:
    try:
        return packets(video)
    except IndexError:
        return []


async def test_three_videos_at_once_come_back_exactly_and_use_the_whole_pool(pipeline) -> None:
    varying = [0, 1001, 1500, 4004, 4100] + [5000 + 700 * i for i in range(70)]
    videos = {
        "constant.mp4": Video(frames=70, size=(96, 64), sounds=[Sound()]).make(),
        "varying.mp4": Video(frames=75, size=(64, 48), pts=varying, sounds=[Sound("mp3")]).make(),
        "silent 日本語 'q'.mp4": Video(frames=66, size=(160, 90)).make(),
    }
    jobs = [await pipeline.submit(name, video) for name, video in videos.items()]
    for job, (name, video) in zip(jobs, videos.items(), strict=True):
        status = await pipeline.ended(job)
        assert status.video_name == name
        await assert_exact(pipeline, status, video)
    spread = await pipeline.events_by_partition("frames", ChunkReady)
    for job in jobs:
        assert sorted(spread[job]) == list("01234567")


async def test_the_picture_is_painted_and_still_the_same_picture(pipeline) -> None:
    video = Video(frames=9, size=(320, 180), options={"crf": "12"}).make()
    status = await pipeline.ended(await pipeline.submit("painted.mp4", video))
    result = presented(await pipeline.result(status))
    assert [number for _, number in result] == [number for _, number in presented(video)]


@pytest.mark.slow
async def test_a_pool_that_shrinks_during_a_job_finishes_it_and_paints_nothing_twice(
    pipeline,
) -> None:
    await until_balanced(pipeline)
    video = Video(frames=120, size=(320, 180)).make()
    job = await pipeline.submit("shrunk.mp4", video)
    await pipeline.stylized(job, 1)
    await pipeline.stack.scale(1)
    await assert_exact(pipeline, await pipeline.ended(job), video)
    assert (await pipeline.events_by_partition("segments", SegmentReady))[job].total() == 15
    await pipeline.stack.scale(2)


async def until_balanced(pipeline) -> None:
    """Wait until the pool has shared the partitions: whoever takes one over redoes what is open."""
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
        while True:
            shares = []
            for name in ("stylizer-1", "stylizer-2"):
                text = await metrics(session, pipeline, name)
                shares.append(sample(text, "stylizer_owned_partitions"))
            if shares == [4, 4]:
                return
            await asyncio.sleep(0.2)


async def metrics(session: aiohttp.ClientSession, pipeline, name: str) -> str:
    async with session.get(f"{pipeline.stack.endpoints[name]}/metrics") as response:
        assert response.status == 200
        return await response.text()


async def test_bad_uploads_fail_with_a_sentence_and_hold_up_nobody(pipeline) -> None:
    good = Video(frames=10).make()
    bad = {
        "text.mp4": b"This is no video at all. " * 40,
        "empty.mp4": b"",
        "headless.mp4": good[: len(good) // 2],
    }
    jobs = {name: await pipeline.submit(name, data) for name, data in bad.items()}
    jobs["unknown style"] = await pipeline.submit("styleless.mp4", good, style="no-such-style")
    fine = await pipeline.submit("fine.mp4", good)

    codes = {}
    for name, job in jobs.items():
        status = await pipeline.ended(job)
        assert status.state == "failed", name
        assert status.error
        assert 10 < len(status.error.message) < 400
        assert "\n" not in status.error.message
        codes[name] = status.error.code
    assert codes["unknown style"] == "UNKNOWN_STYLE"
    assert codes["empty.mp4"] == "EMPTY_FILE"
    assert codes["text.mp4"] == "NOT_A_VIDEO"
    await assert_exact(pipeline, await pipeline.ended(fine), good)


async def test_two_uploads_of_one_name_are_two_jobs_with_two_results(pipeline) -> None:
    first, second = Video(frames=5).make(), Video(frames=7).make()
    jobs = [await pipeline.submit("twin.mp4", video) for video in (first, second)]
    for job in jobs:
        await pipeline.ended(job)
    # The earlier one's result may have moved when the newer one's came
    statuses = [await pipeline.ended(job) for job in jobs]
    assert len({status.result for status in statuses}) == 2
    for status, video in zip(statuses, (first, second), strict=True):
        await assert_exact(pipeline, status, video)


async def test_an_ended_job_leaves_no_lag_and_no_intermediates(pipeline) -> None:
    job = await pipeline.submit("tidy.mp4", Video(frames=12).make())
    assert (await pipeline.ended(job)).state == "done"
    async with asyncio.timeout(DEADLINE_S):
        while await leftovers(pipeline, job) or await pipeline.lag():
            await asyncio.sleep(0.2)


async def leftovers(pipeline, job: str) -> list[str]:
    return [
        name
        for container in ("frames", "segments")
        async for name in pipeline.blobs.names(container, f"{job}/")
    ]


async def test_every_service_has_metrics_of_its_work(pipeline) -> None:
    await until_balanced(pipeline)
    # Each of the two paints a part of it.
    job = await pipeline.submit("counted.mp4", Video(frames=64).make())
    await pipeline.ended(job)
    found = {}
    async with aiohttp.ClientSession() as session, asyncio.timeout(DEADLINE_S):
        for name in ("splitter", "assembler", "stylizer-1", "stylizer-2"):
            found[name] = await metrics(session, pipeline, name)
        # A job is counted after its record says that it has ended.
        while not sample(found["assembler"], 'assembler_jobs_total{outcome="done"}'):
            await asyncio.sleep(0.1)
            found["assembler"] = await metrics(session, pipeline, "assembler")
    assert sample(found["splitter"], "splitter_frames_total") >= 64
    painted = [
        sample(found[name], "stylizer_frames_total") for name in ("stylizer-1", "stylizer-2")
    ]
    assert sum(painted) >= 64
    assert 'stylizer_stage_seconds_bucket{le="0.1",stage="paint"}' in found["stylizer-1"]
    assert 'stylizer_lag_events{hub="frames",partition="' in found["stylizer-1"]
    assert all(job not in text for text in found.values()), "labels must stay bounded"


def sample(text: str, name: str) -> float:
    """Return a figure, summed over whatever labels ``name`` leaves open."""
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
