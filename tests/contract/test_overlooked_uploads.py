"""Uploads whose event was lost are found in storage, and nobody else's work is done twice."""

from __future__ import annotations

import pytest
from splits_bench import Bench, bench_of
from videos import Video

from assembler.job import opening as first_record
from shared.contracts.layout import status_blob
from shared.contracts.messages import SplitStarted
from shared.contracts.status import write_summary
from shared.contracts.style_request import StyleRequest
from splitter.openings import Opening

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def put(bench: Bench, name: str) -> str:
    """Upload a video of which nobody is told; return its version."""
    container = bench.settings.uploads_container
    etag = await bench.blobs.create(container, name, Video(frames=8).make())
    assert etag
    return etag


async def open_for(bench: Bench, name: str) -> Opening:
    """Begin an upload as a splitter does that is heard of no more."""
    container = bench.settings.uploads_container
    facts = await bench.blobs.facts(container, name)
    assert facts
    begun = Opening.of(name, facts, StyleRequest(style="udnie"), bench.settings)
    await bench.openings(5).keep(name, facts.etag, begun)
    return begun


async def end(bench: Bench, opening: Opening) -> None:
    """Write the record of a job that has ended."""
    video = opening.video
    started = SplitStarted(
        job_id=opening.job_id,
        video_name=video.name,
        video_url=video.url,
        etag=video.etag,
        style=opening.style,
        uploaded_at=video.uploaded_at,
    )
    record = first_record(started).model_copy(update={"state": "cancelled"})
    jobs, name = bench.settings.jobs_container, status_blob(opening.job_id)
    await bench.blobs.create(jobs, name, record.to_json(), metadata=write_summary(record))


async def test_uploads_whose_event_was_lost_are_split_and_no_others(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(
        storage_connection, eventhub_connection, uploads_look_s=1, checkpoint_interval_s=0.2
    ) as bench:
        # One was painted, and touched since: another version, of which no event ever comes
        await put(bench, "painted.mp4")
        painted = await open_for(bench, "painted.mp4")
        await end(bench, painted)
        touched = await bench.blobs.annotate(
            bench.settings.uploads_container, "painted.mp4", {"note": "x"}, etag=painted.video.etag
        )
        assert touched
        # One was begun, and its splitter and its event are gone
        await put(bench, "begun.mp4")
        begun = await open_for(bench, "begun.mp4")
        async with bench.splitting():
            assert (await bench.sealed(begun.job_id)).style.style == "udnie"
            # Of the third nobody ever heard; it is found later than the others
            film = await bench.job("film.mp4", await put(bench, "film.mp4"))
            assert (await bench.sealed(film.job_id)).frames == 8
        assert await bench.openings(5).find("painted.mp4", touched) is None
        assert await bench.manifest(painted.job_id) is None
