"""Ways in and out without our own tools: links, and announcements on a topic."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from command_processes import fork
from videos import Video, times
from yarl import URL

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]
DEADLINE_S = 90.0
BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}


async def link(*arguments: object) -> str:
    code, out, err = await fork("link", *arguments)
    assert code == 0, err
    return out.strip()


async def announced(pipeline, job: str) -> list[dict[str, Any]]:
    """Wait until a job is announced; return all announcements of it."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            file = pipeline.stack.announcements
            lines = file.read_text().splitlines() if file.exists() else []
            if found := [event for line in lines if (event := json.loads(line))["subject"] == job]:
                return found
            await asyncio.sleep(0.05)


async def test_every_end_of_a_job_is_announced_on_the_topic(pipeline) -> None:
    good = await pipeline.submit("announced.mp4", Video(frames=6).make())
    bad = await pipeline.submit("unannounced.mp4", b"no video " * 50)

    [told] = await announced(pipeline, good)
    assert told["type"] == "Stylestream.VideoStylized"
    assert told["source"] == f"{pipeline.stack.endpoints['storage']}/results"
    assert told["data"] == (await pipeline.ended(good)).model_dump(mode="json")
    assert told["data"]["result"]

    [told] = await announced(pipeline, bad)
    assert told["type"] == "Stylestream.VideoFailed"
    assert told["data"]["error"]["code"] == "NOT_A_VIDEO"


async def test_a_video_goes_in_and_out_by_links_alone(pipeline, tmp_path: Path) -> None:
    video, directory = Video(frames=8).make(), pipeline.stack.options.directory
    up = await link("upload", "the-scream/linked.mp4", "--dir", directory)
    async with aiohttp.ClientSession() as http:
        async with http.put(URL(up, encoded=True), data=video, headers=BLOCK_BLOB) as answer:
            assert answer.status == 201
        job = await job_of(pipeline, "the-scream/linked.mp4")
        status = await pipeline.ended(job)
        assert status.state == "done", status.error
        assert status.style.style == "the-scream"

        down = await link("download", job, "--dir", directory, "--hours", "0.5")
        async with http.get(URL(down, encoded=True)) as answer:
            assert answer.status == 200
            (tmp_path / "result.mp4").write_bytes(await answer.read())
    assert times(tmp_path / "result.mp4") == times(video)


async def job_of(pipeline, name: str) -> str:
    """Wait until an upload has a job."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            for status in await pipeline.jobs.list():
                if status.video_name == name:
                    return status.job_id
            await asyncio.sleep(0.1)
