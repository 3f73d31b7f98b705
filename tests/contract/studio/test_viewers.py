"""Several viewers of one job cause as many requests to storage as one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest
from azure.core.pipeline.transport import HttpRequest
from studio_bench import Opened, body

from shared.contracts.layout import chunk_blob, status_blob
from web.pieces import PIECE_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEGMENTS = 5
VIEWERS = 3
# No look at storage serves for a shorter time.
LEAST_FRESH_S = 0.4


async def watch(session: aiohttp.ClientSession, job: str) -> list[bytes]:
    """Ask for all that a page, or a player of HLS, asks for while it shows a job from its start."""
    root = f"/api/jobs/{job}"
    async with session.get("/api/events") as events:
        async for line in events.content:
            if line == b"event: ready\n":
                break
    seen = [await body(session, f"{root}/{name}") for name in ("live", "live.m3u8")]
    seen += [await body(session, f"{root}/live/init.mp4")]
    seen += [await body(session, f"{root}/live/{number}.m4s") for number in range(SEGMENTS)]
    seen += [await body(session, f"{root}/{name}") for name in ("thumbnail.jpg", "result")]
    for span in ("bytes=0-", f"bytes={PIECE_BYTES - 2}-{PIECE_BYTES + 1}"):
        async with session.get(f"{root}/source", headers={"Range": span}) as answer:
            assert answer.status == 206
            seen.append(await answer.read())
    return seen


def reads(asked: list[HttpRequest]) -> Counter[str]:
    """Count the requests for bytes of blobs, by blob."""
    return Counter(
        unquote(urlsplit(one.url).path).split("/", 3)[3]
        for one in asked
        if "x-ms-range" in one.headers
    )


async def begun(studio: Opened) -> tuple[str, bytes]:
    """Leave a job with segments, a result, and a video of two pieces."""
    job = (await studio.job(result="clip.great-wave.mp4", state="done")).job_id
    video = bytes(range(251)) * (PIECE_BYTES // 251 + 2)
    await studio.blobs.create(studio.names["uploads"], "clip.mp4", video)
    await studio.result(job, "clip.great-wave.mp4", b"painted")
    for number in range(SEGMENTS):
        await studio.segment(job, number)
    return job, video


async def test_three_viewers_ask_storage_as_often_as_one(studio):
    job, video = await begun(studio)
    studio.asked.clear()
    begin = time.monotonic()
    async with studio.session() as session:
        first, *others = await asyncio.gather(*(watch(session, job) for _ in range(VIEWERS)))
    looks = 1 + (time.monotonic() - begin) / LEAST_FRESH_S

    *_, result, whole, part = first
    assert (result, whole) == (b"painted", video)
    assert part == video[PIECE_BYTES - 2 : PIECE_BYTES + 2]
    assert others == [first] * (VIEWERS - 1)

    read = reads(studio.asked)
    rest = len(studio.asked) - read.total()
    # What changes is looked at for all at once: the record, lists, and whether videos are there.
    assert read.pop(status_blob(job)) <= looks
    assert rest <= 4 * looks + 1
    # The first segment gives a header, a fragment, and the picture beside the job.
    assert read.pop(chunk_blob(job, 0)) <= 3
    assert read == {
        **{chunk_blob(job, number): 1 for number in range(1, SEGMENTS)},
        f"{job}/thumbnail.jpg": 1,
        "clip.great-wave.mp4": 1,
        "clip.mp4": 2,  # it has two pieces
    }
