"""Jobs and their results over the studio's HTTP API."""

from __future__ import annotations

import asyncio
import json
import secrets

import aiohttp
import pytest
from studio_bench import body, problem, upload

from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.status import Failure
from shared.storage.blobs import BlobStore
from web.access.users import EVERYBODY
from web.jobs import board
from web.live.segments import Segments

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_jobs_are_listed_by_pages_and_filtered(studio):
    jobs = [await studio.job(started_at=f"2026-01-0{n}T00:00:00.000+00:00") for n in range(1, 6)]
    failed = Failure(code="NOT_A_VIDEO", message="This is not a video.")
    await studio.job(state="failed", error=failed, started_at="2025-01-01T00:00:00.000+00:00")
    async with studio.session() as session:
        found, after = [], None
        while True:
            asked = {"limit": "2", "state": "stylizing"} | ({"after": after} if after else {})
            async with session.get("/api/jobs", params=asked) as answer:
                page = await answer.json()
            found += [job["id"] for job in page["jobs"]]
            if (after := page["after"]) is None:
                break
        async with session.get("/api/jobs", params={"state": "failed"}) as answer:
            (lost,) = (await answer.json())["jobs"]
        async with session.get("/api/jobs", params={"limit": "0"}) as answer:
            assert answer.status == 400
        asked = {"limit": "2", "state": "stylizing"}
        async with session.get("/api/jobs", params=asked) as answer:
            first = await answer.json()
        last = first["jobs"][-1]["id"]
        await session.post(f"/api/jobs/{last}/cancel")
        await session.delete(f"/api/jobs/{last}")
        async with session.get("/api/jobs", params=asked | {"after": first["after"]}) as answer:
            second = [job["id"] for job in (await answer.json())["jobs"]]
    assert found == [status.job_id for status in reversed(jobs)]
    # The job at which a page ended was deleted, and the next page begins where it would have.
    assert second == found[2:4]
    assert lost["error"] == {"code": "NOT_A_VIDEO", "message": "This is not a video."}


async def test_a_job_is_cancelled_then_deleted_and_gone(studio):
    job = (await studio.job()).job_id
    async with studio.session() as session:
        async with session.delete(f"/api/jobs/{job}") as answer:
            assert answer.status == 409
            assert "cancel it first" in await problem(answer)
        async with session.post(f"/api/jobs/{job}/cancel") as answer:
            assert (await answer.json())["state"] == "cancelled"
        async with session.post(f"/api/jobs/{job}/cancel") as answer:
            assert answer.status == 409
        async with session.delete(f"/api/jobs/{job}") as answer:
            assert answer.status == 204
        async with session.get(f"/api/jobs/{job}") as answer:
            assert answer.status == 404
        async with session.get("/api/jobs") as answer:
            assert (await answer.json())["jobs"] == []
    # What tells the services to stop; the assembler deletes it, if there is one.
    assert [name async for name in studio.blobs.names(studio.names["jobs"])] == [status_blob(job)]


async def test_followers_hear_of_all_jobs_then_of_every_change(studio):
    status = await studio.job()
    async with studio.session() as session, session.get("/api/events") as events:
        assert events.content_type == "text/event-stream"
        first = await heard(events)
        assert first[0] == ("job", status.job_id)
        assert first[1][0] == "ready"
        other = await studio.job()
        assert (await heard(events))[0] == ("job", other.job_id)
        await studio.blobs.delete(studio.names["jobs"], status_blob(other.job_id))
        assert (await heard(events))[0] == ("gone", other.job_id)


async def test_who_asks_for_headers_alone_is_not_left_to_wait_for_events(studio):
    async with studio.session() as session, session.head("/api/events") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


async def test_a_follower_of_one_job_hears_only_of_that_job_until_it_ends(studio):
    status = await studio.job()
    async with studio.session() as session:
        async with session.get(f"/api/jobs/{status.job_id}/events") as events:
            assert [job for _, job in await heard(events)] == [status.job_id, ""]
            await studio.job()
            ended = status.model_copy(update={"state": "done"})
            name = status_blob(status.job_id)
            await studio.blobs.replace(studio.names["jobs"], name, ended.to_json())
            assert await heard(events) == [("job", status.job_id)]
            assert await events.content.read() == b""
        async with session.get(f"/api/jobs/{secrets.token_hex(12)}/events") as answer:
            assert answer.status == 404


async def test_a_follower_of_one_job_is_told_that_it_was_deleted_and_waits_no_longer(studio):
    job = (await studio.job()).job_id
    async with studio.session() as session, session.get(f"/api/jobs/{job}/events") as events:
        assert [of for _, of in await heard(events)] == [job, ""]
        await studio.blobs.delete(studio.names["jobs"], status_blob(job))
        assert await heard(events) == [("gone", job)]
        assert await events.content.read() == b""


async def test_the_job_of_an_upload_is_announced_before_all_jobs_are_listed(studio, monkeypatch):
    async with studio.session() as session, session.get("/api/events") as events:
        assert (await heard(events))[0][0] == "ready"
        monkeypatch.setattr(board, "_DISCOVERY_S", float("inf"))
        submitted = await upload(session, b"video", name="a.mp4")
        await studio.job(job_id=submitted["job"])
        assert (await heard(events))[0] == ("job", submitted["job"])


async def test_a_job_that_begins_while_all_are_listed_is_not_taken_for_deleted(studio, monkeypatch):
    jobs, list_items = studio.names["jobs"], BlobStore.items
    watched = board.Board(studio.blobs, Segments(studio.blobs, studio.names["segments"], 1), jobs)

    async def list_slowly(store, container, prefix=""):
        async for item in list_items(store, container, prefix):
            yield item
        if container == jobs:
            # Meanwhile somebody else asks for it.
            await watched.reread((await studio.job()).job_id)

    monkeypatch.setattr(BlobStore, "items", list_slowly)
    await watched.refresh()
    (entry,) = watched.visible(EVERYBODY)
    # Nor is one that was gone for a moment.
    watched.forget(entry.job.id)
    await watched.reread(entry.job.id)
    shown, gone = watched.changed(0, EVERYBODY)
    assert ([job.id for job in shown], gone) == ([entry.job.id], [])


async def heard(events: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    async with asyncio.timeout(60):
        lines = (await events.content.readany()).decode().strip()
    found = []
    for event in lines.split("\n\n"):
        kind, data = (line.partition(": ")[2] for line in event.splitlines())
        value = json.loads(data)
        found.append((kind, value.get("id", "") if isinstance(value, dict) else value))
    return found


async def test_a_result_comes_whole_or_in_ranges_and_under_its_name(studio):
    video = secrets.token_bytes((4 << 20) + 1000)
    job = (await studio.job(state="done", result="x/Fête.the-scream.mp4")).job_id
    await studio.result(job, "x/Fête.the-scream.mp4", video)
    address = f"/api/jobs/{job}/result"
    async with studio.session() as session:
        async with session.get(address) as answer:
            assert (answer.status, answer.content_type) == (200, "video/mp4")
            assert await answer.read() == video
            etag = answer.headers["ETag"]
        for asked, part in (
            ("bytes=10-19", video[10:20]),
            ("bytes=-7", video[-7:]),
            (f"bytes={len(video) - 3}-", video[-3:]),
        ):
            headers = {"Range": asked, "If-Range": etag}
            async with session.get(address, headers=headers) as answer:
                assert answer.status == 206
                assert await answer.read() == part
        for known in (etag, f'"another", W/{etag}', "*"):
            headers = {"If-None-Match": known, "Range": "bytes=0-9"}
            async with session.get(address, headers=headers) as answer:
                assert (answer.status, answer.headers["ETag"]) == (304, etag)
                assert await answer.read() == b""
        async with session.get(address, headers={"If-None-Match": '"another"'}) as answer:
            assert answer.status == 200
        async with session.head(address) as answer:
            assert (answer.status, answer.content_length) == (200, len(video))
        for nothing in ("bytes=99999999-", "bytes=-0", "bytes=-000"):
            async with session.get(address, headers={"Range": nothing}) as answer:
                assert (nothing, answer.status) == (nothing, 416)
                assert answer.headers["Content-Range"] == f"bytes */{len(video)}"
                await problem(answer)
        async with session.get(f"{address}?download") as answer:
            disposition = answer.headers["Content-Disposition"]
            assert disposition == "attachment; filename*=UTF-8''F%C3%AAte.the-scream.mp4"
    unfinished = (await studio.job()).job_id
    async with studio.session() as session, session.get(f"/api/jobs/{unfinished}/result") as answer:
        assert answer.status == 404
        assert "has no result" in await problem(answer)


async def test_a_thumbnail_is_made_once_and_outlives_the_segments(studio):
    job = (await studio.job()).job_id
    async with studio.session() as session:
        async with session.get(f"/api/jobs/{job}/thumbnail.jpg") as answer:
            assert answer.status == 404
        await studio.segment(job, 0)
        first = await body(session, f"/api/jobs/{job}/thumbnail.jpg")
        await studio.blobs.delete_all(studio.names["segments"], job)
        assert await body(session, f"/api/jobs/{job}/thumbnail.jpg") == first
    assert first.startswith(b"\xff\xd8")


async def test_a_jobs_result_is_its_own_though_a_newer_version_has_taken_its_name(
    studio, monkeypatch
):
    monkeypatch.setattr(board, "_DISCOVERY_S", float("inf"))
    older = await studio.job(state="done", result="film.mp4")
    async with studio.session() as session:
        await body(session, "/api/jobs")  # the studio knows the name
        await studio.result(older.job_id, "film.1f3a.mp4", b"older")
        await studio.job(job_id=older.job_id, state="done", result="film.1f3a.mp4")
        newer = await studio.job(state="done", result="film.mp4")
        await studio.result(newer.job_id, "film.mp4", b"newer")
        assert await body(session, f"/api/jobs/{older.job_id}/result") == b"older"
        await studio.blobs.delete(studio.names["results"], "film.1f3a.mp4")
        gone = await studio.job(state="done", result="film.mp4")
        async with session.get(f"/api/jobs/{gone.job_id}/result") as answer:
            assert answer.status == 404
            assert "no longer exists" in await problem(answer)


async def test_a_jobs_thumbnail_is_never_that_of_the_newer_version_that_has_taken_its_name(studio):
    older = await studio.job(state="done", result="film.mp4")
    newer = await studio.job(state="done", result="film.mp4")
    await studio.segment(newer.job_id, 0)
    segments = studio.names["segments"]
    painted = await studio.blobs.read(segments, chunk_blob(newer.job_id, 0))
    await studio.result(newer.job_id, "film.mp4", painted)
    await studio.blobs.delete_all(segments, newer.job_id)
    async with studio.session() as session:
        async with session.get(f"/api/jobs/{older.job_id}/thumbnail.jpg") as answer:
            assert answer.status == 404
        assert await body(session, f"/api/jobs/{newer.job_id}/thumbnail.jpg")


@pytest.mark.parametrize("until", ["it was deleted", "all that it has was listed"])
async def test_a_thumbnail_that_is_made_while_its_job_is_deleted_does_not_stay(
    studio, monkeypatch, until
):
    job = (await studio.job(state="done")).job_id
    await studio.segment(job, 0)
    jobs, create, delete_each = studio.names["jobs"], BlobStore.create, BlobStore.delete_each
    made, listed = asyncio.Event(), asyncio.Event()
    stored = asyncio.Event()

    async def hold(store, container, name, *args, **more):
        if container == jobs:
            made.set()
            await listed.wait()
        etag = await create(store, container, name, *args, **more)
        stored.set()
        return etag

    async def delete_later(store, container, names):
        if container == jobs and until == "all that it has was listed":
            listed.set()
            await stored.wait()
        await delete_each(store, container, names)

    async with studio.session() as session:
        await body(session, "/api/jobs")  # the studio knows the job
        monkeypatch.setattr(BlobStore, "create", hold)
        monkeypatch.setattr(BlobStore, "delete_each", delete_later)
        picture = asyncio.create_task(session.get(f"/api/jobs/{job}/thumbnail.jpg"))
        await made.wait()
        async with session.delete(f"/api/jobs/{job}") as answer:
            assert answer.status == 204
        listed.set()
        (await picture).release()
    assert [name async for name in studio.blobs.names(jobs)] == []
