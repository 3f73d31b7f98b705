"""The picture while it is being painted."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO

import av
import pytest
from studio_bench import FRAME, body, opened, problem
from videos import number_of

from shared.contracts.layout import chunk_blob, status_blob
from shared.storage.blobs import BlobStore
from web.live import segments

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_segments_without_a_gap_can_be_played(studio):
    job = (await studio.job()).job_id
    async with studio.session() as session:
        async with session.get(f"/api/jobs/{job}/live") as answer:
            assert answer.status == 404
        for number in (0, 1, 3):
            await studio.segment(job, number)
        await asyncio.sleep(0.5)  # for so long one look at storage serves everybody
        async with session.get(f"/api/jobs/{job}/live") as answer:
            live = await answer.json()
        for first, listed in ((1, [1]), (2, []), (9, [])):
            # A player asks for those that it does not know.
            async with session.get(f"/api/jobs/{job}/live?first={first}") as answer:
                assert [one["number"] for one in (await answer.json())["segments"]] == listed
        async with session.get(f"/api/jobs/{job}/live?first=-1") as answer:
            assert answer.status == 400
        async with session.get(f"/api/jobs/{job}") as answer:
            shown = (await answer.json())["live"]
        stream = b""
        for name in ("init.mp4", "0.m4s", "1.m4s"):
            async with session.get(f"/api/jobs/{job}/live/{name}") as answer:
                assert answer.headers["Cache-Control"] == "private, no-cache"
                stream += await answer.read()
        async with session.get(f"/api/jobs/{job}/live.m3u8") as answer:
            playlist = await answer.text()
        async with session.get(f"/api/jobs/{job}/live/2.m4s") as answer:
            assert answer.status == 404
    assert [segment["number"] for segment in live["segments"]] == [0, 1]
    assert live["codec"].startswith("avc1.")
    assert shown["playable_s"] == pytest.approx(8 * FRAME / 30000)
    assert shown["ahead"] == [pytest.approx([12 * FRAME / 30000, 16 * FRAME / 30000])]
    assert playlist.count("#EXTINF") == 2
    assert "#EXT-X-ENDLIST" not in playlist
    with av.open(BytesIO(stream)) as container:
        frames = [(frame.pts, number_of(frame)) for frame in container.decode(video=0)]
    assert frames == [(number * FRAME, number) for number in range(8)]


async def test_what_was_painted_last_is_listed_once_the_job_has_ended(studio, monkeypatch):
    """A player that is told that nothing follows does not ask again."""
    monkeypatch.setattr(segments, "_FRESH_S", 60)
    status = await studio.job()
    await studio.segment(status.job_id, 0)
    async with studio.session() as session:
        live = f"/api/jobs/{status.job_id}/live"
        assert b'"number":0' in await body(session, live)
        await studio.segment(status.job_id, 1)
        ended = status.model_copy(update={"state": "done"}).to_json()
        await studio.blobs.replace(studio.names["jobs"], status_blob(status.job_id), ended)
        async with asyncio.timeout(60):
            while b'"ended":true' not in (seen := await body(session, live)):
                await asyncio.sleep(0.1)
        shown = await body(session, f"/api/jobs/{status.job_id}")
    assert b'"number":1' in seen
    assert json.loads(shown)["live"]["playable_s"] == pytest.approx(8 * FRAME / 30000)


async def test_a_segment_that_does_not_match_the_first_is_shown_once_it_was_painted_again(studio):
    job = (await studio.job()).job_id
    await studio.segment(job, 1, encoder="nvenc-1")
    await studio.segment(job, 2)

    async def playable(session):
        async with session.get(f"/api/jobs/{job}/live") as answer:
            if answer.status == 404:
                return []
            return [segment["number"] for segment in (await answer.json())["segments"]]

    async def until(session, numbers):
        async with asyncio.timeout(60):
            while await playable(session) != numbers:
                await asyncio.sleep(0.1)

    async with studio.session() as session:
        # Seen before the one that decides
        assert await playable(session) == []
        await studio.segment(job, 0)
        await until(session, [0])
        async with session.get(f"/api/jobs/{job}/live/1.m4s") as answer:
            assert answer.status == 404
        await studio.segment(job, 1)
        await until(session, [0, 1, 2])
        async with session.get(f"/api/jobs/{job}/live/1.m4s") as answer:
            assert answer.status == 200


async def test_a_browser_does_not_keep_a_segment_that_was_painted_again(
    storage_connection, monkeypatch
):
    """A stylizer replaces one of another encoder, or of another version of the style."""
    monkeypatch.setattr("web.studio._MIB", 0)  # so that the studio keeps one fragment
    async with opened(storage_connection) as studio, studio.session() as session:
        job = (await studio.job()).job_id
        first = f"/api/jobs/{job}/live/0.m4s"
        for number in (0, 1):
            await studio.segment(job, number)
        async with session.get(first) as answer:
            known = {"If-None-Match": answer.headers["ETag"]}
            before = await answer.read()
        async with session.get(first, headers=known) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        await studio.segment(job, 0, frames=2)
        await body(session, f"/api/jobs/{job}/live/1.m4s")  # takes the room of the first one
        async with session.get(first, headers=known) as answer:
            assert answer.status == 200
            assert await answer.read() != before


async def test_many_viewers_of_one_fragment_ask_storage_once(studio, monkeypatch):
    job = (await studio.job()).job_id
    await studio.segment(job, 0)
    reads = []
    fetch = BlobStore.fetch

    async def counted(store, container, name):
        if container == studio.names["segments"]:
            reads.append(name)
        return await fetch(store, container, name)

    monkeypatch.setattr(BlobStore, "fetch", counted)
    async with studio.session() as session:
        address = f"/api/jobs/{job}/live/0.m4s"
        bodies = await asyncio.gather(*(body(session, address) for _ in range(20)))
    assert len(set(bodies)) == 1
    assert len(reads) == 1


async def test_a_damaged_segment_is_not_shown(studio):
    job = (await studio.job()).job_id
    await studio.segment(job, 0)
    container, name = studio.names["segments"], chunk_blob(job, 0)
    stored = await studio.blobs.fetch(container, name)
    await studio.blobs.delete(container, name)
    damaged = stored.data[:-9] + b"disturbed"
    await studio.blobs.create(container, name, damaged, metadata=stored.metadata)
    async with studio.session() as session, session.get(f"/api/jobs/{job}/live/0.m4s") as answer:
        assert answer.status == 422
        assert "damaged in storage" in await problem(answer)
