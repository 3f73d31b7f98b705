"""The studio's HTTP API on a real port and a real Azurite, with jobs as services leave them."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import asynccontextmanager
from fractions import Fraction
from io import BytesIO

import aiohttp
import av
import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from azure.storage.blob.aio import BlobServiceClient
from prometheus_client import CollectorRegistry
from videos import number_of, number_picture

from shared.contracts.layout import chunk_blob, job_id, status_blob
from shared.contracts.segment_place import SegmentPlace
from shared.contracts.status import Failure, Status, utc_now
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import SEGMENT, ChunkWriter
from shared.storage.blobs import BlobStore
from shared.storage.seals import seal
from web.application import ENDPOINTS, application
from web.metrics import WebMetrics
from web.settings import WebSettings
from web.studio import Studio
from web.uploads import BLOCK_BYTES

TOKEN = "a-token-that-is-long-enough-for-a-test"
TICK = Fraction(1, 30000)
FRAME = 1001


class Opened:
    """A running studio, its storage, and how to ask it."""

    def __init__(self, client: BlobServiceClient, names: dict[str, str], url: str) -> None:
        self.blobs = BlobStore(client)
        self.names = names
        self.url = url

    @asynccontextmanager
    async def session(self, **headers: str):
        """Ask as somebody with these headers; by default as who has the token."""
        headers = headers or {"Authorization": f"Bearer {TOKEN}"}
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.url, headers=headers, cookie_jar=jar) as session:
            yield session

    async def job(self, **changes: object) -> Status:
        """Leave a job's record."""
        name = str(changes.pop("video_name", "clip.mp4"))
        status = Status(
            job_id=secrets.token_hex(12),
            state="stylizing",
            video_name=name,
            video_url=f"http://x/{name}",
            style=StyleRequest(style="great-wave"),
            started_at=utc_now(),
            updated_at=utc_now(),
        ).model_copy(update=changes)
        record = status.to_json()
        await self.blobs.replace(self.names["jobs"], status_blob(status.job_id), record)
        return status

    async def segment(self, job: str, number: int, frames: int = 4) -> None:
        """Leave a painted segment as a stylizer does."""
        writer = ChunkWriter(SEGMENT, width=64, height=48, time_base=TICK)
        for place in range(frames):
            picture = number_picture(number * frames + place, 64, 48)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            frame.pts = place * FRAME
            writer.write(frame)
        data = writer.close(frames * FRAME)
        place = SegmentPlace(number * frames * FRAME, frames * FRAME, TICK)
        await self.blobs.create(
            self.names["segments"],
            chunk_blob(job, number),
            data,
            metadata=seal(data) | place.metadata(),
        )


@asynccontextmanager
async def opened(storage_connection: str, **settings: object):
    """Run a studio on containers of its own."""
    suffix = secrets.token_hex(4)
    names = {name: f"{name}-{suffix}" for name in ("uploads", "results", "segments", "jobs")}
    values = {"web_token": TOKEN, "web_secret": TOKEN, **settings}
    async with BlobServiceClient.from_connection_string(storage_connection) as client:
        for name in names.values():
            await client.create_container(name)
        chosen = WebSettings(
            storage_connection_string=storage_connection,
            uploads_container=names["uploads"],
            results_container=names["results"],
            segments_container=names["segments"],
            jobs_container=names["jobs"],
            **values,
        )
        studio = Studio.of(chosen, BlobStore(client), client, WebMetrics(CollectorRegistry()))
        runner = web.AppRunner(application(studio), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield Opened(client, names, f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            studio.closing.set()
            await runner.cleanup()
            studio.previews.close()


@pytest_asyncio.fixture(loop_scope="session")
async def studio(storage_connection):
    async with opened(storage_connection) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="session")


async def problem(answer: aiohttp.ClientResponse) -> str:
    assert answer.content_type == "application/problem+json"
    body = json.loads(await answer.read())
    assert body["status"] == answer.status
    return body["detail"]


# Who may


async def test_only_who_has_the_token_gets_in(studio):
    async with studio.session(Accept="*/*") as stranger:
        for path in ("/api/session", "/api/jobs", "/api/events", "/api/openapi.json"):
            async with stranger.get(path) as answer:
                assert answer.status == 401
                assert "address that was printed" in await problem(answer)
        async with stranger.get("/", params={"token": "wrong"}) as answer:
            assert answer.status == 401
        async with stranger.get("/api/jobs") as answer:
            assert answer.status == 401

        async with stranger.get("/", params={"token": TOKEN}) as answer:
            assert answer.status == 200
            assert "token" not in str(answer.url)
            assert "stylestream" in await answer.text()
        async with stranger.get("/api/jobs") as answer:
            assert answer.status == 200
        (cookie,) = stranger.cookie_jar
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert TOKEN not in cookie.value


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_a_foreign_page_changes_nothing_with_the_users_cookie(studio, headers, status):
    async with studio.session(Accept="*/*") as browser:
        await (await browser.get("/", params={"token": TOKEN})).read()
        path = f"/api/jobs/{secrets.token_hex(12)}/cancel"
        async with browser.post(path, headers=headers) as answer:
            assert answer.status == status
            await problem(answer)


async def test_every_answer_forbids_what_pages_could_be_abused_for(studio):
    async with studio.session() as session:
        for path in ("/", "/static/studio.js", "/api/jobs", "/api/nothing"):
            async with session.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'self';")
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_behind_a_proxy_each_user_sees_their_own_jobs(storage_connection):
    async with opened(
        storage_connection, web_sign_in="proxy", web_operators="boss", web_token=None
    ) as studio:
        own = {"X-Forwarded-User": "ann", "Sec-Fetch-Site": "same-origin"}
        async with studio.session(**own) as ann:
            done = await upload(ann, b"x" * 10, name="a.mp4")
        await studio.job(job_id=done["job"], video_name=await only_upload(studio))
        seen = {}
        for name in ("ann", "bob", "boss"):
            async with studio.session(**{"X-Forwarded-User": name}) as session:
                async with session.get("/api/jobs") as answer:
                    seen[name] = [job["id"] for job in (await answer.json())["jobs"]]
                async with session.get(f"/api/jobs/{done['job']}") as answer:
                    assert answer.status == (200 if seen[name] else 404)
        assert seen == {"ann": [done["job"]], "bob": [], "boss": [done["job"]]}
        async with studio.session(Accept="*/*") as nobody, nobody.get("/api/jobs") as answer:
            assert answer.status == 401


# Uploads


async def upload(session: aiohttp.ClientSession, video: bytes, **wanted: str) -> dict:
    async with session.post("/api/uploads", json={"size": len(video), **wanted}) as answer:
        assert answer.status == 201, await answer.text()
        opened = await answer.json()
    for number in range(opened["blocks"]):
        block = video[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        path = f"/api/uploads/{opened['upload']}/{number}"
        async with session.put(path, data=block) as answer:
            assert answer.status == 204, await answer.text()
    async with session.post(f"/api/uploads/{opened['upload']}/complete") as answer:
        assert answer.status == 201, await answer.text()
        return await answer.json()


async def only_upload(studio: Opened) -> str:
    (name,) = [name async for name in studio.blobs.names(studio.names["uploads"])]
    return name


async def test_an_upload_in_blocks_is_the_job_that_was_asked_for(studio):
    video = secrets.token_bytes(BLOCK_BYTES + 5)
    async with studio.session() as session:
        style = {"style": "the-scream:3,great-wave:1", "strength": "0.5", "preserve_color": "true"}
        done = await upload(session, video, name="holiday.mov", **style)

    name = await only_upload(studio)
    stored = await studio.blobs.fetch(studio.names["uploads"], name)
    assert stored.data == video
    assert name.endswith("/holiday.mov")
    asked = StyleRequest(style="great-wave:0.25,the-scream:0.75", strength=0.5, preserve_color=True)
    assert done["job"] == job_id(studio.names["uploads"], name, stored.etag, asked)
    assert stored.metadata["style"] == "great-wave:0.25,the-scream:0.75"
    assert stored.metadata["strength"] == "0.5"


async def test_an_upload_goes_on_where_it_was_broken_off(studio):
    video = secrets.token_bytes(2 * BLOCK_BYTES + 1)
    async with studio.session() as session:
        asked = {"name": "a.mp4", "size": len(video)}
        async with session.post("/api/uploads", json=asked) as answer:
            opened = await answer.json()
        address = f"/api/uploads/{opened['upload']}"
        await session.put(f"{address}/2", data=video[-1:])
        async with session.get(address) as answer:
            assert (await answer.json())["blocks"] == [2]
        async with session.post(f"{address}/complete") as answer:
            assert answer.status == 409
            assert "not all blocks" in await problem(answer)
        for number in (0, 1):
            block = video[number * BLOCK_BYTES :][:BLOCK_BYTES]
            await session.put(f"{address}/{number}", data=block)
        async with session.post(f"{address}/complete") as answer:
            once = await answer.json()
        async with session.post(f"{address}/complete") as answer:
            assert await answer.json() == once
    name = await only_upload(studio)
    assert await studio.blobs.read(studio.names["uploads"], name) == video


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"name": "a.mp4", "size": 1, "style": "nobody"}, "there is no style 'nobody'"),
        ({"name": "a.mp4", "size": 1, "strength": "2"}, "strength must be a number from 0 to 1"),
        ({"name": "a.mp4", "size": 0}, "size"),
        ({"size": 5}, "name"),
    ],
)
async def test_what_cannot_be_painted_is_refused_before_it_is_sent(studio, asked, sentence):
    async with studio.session() as session, session.post("/api/uploads", json=asked) as answer:
        assert answer.status == 400
        assert sentence in await problem(answer)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        '"><img src=x onerror=alert(1)>.mp4',
        "a\\b\x00.mp4",
        "画" * 300 + ".mp4",
        "..",
    ],
)
async def test_any_name_becomes_one_that_blobs_and_files_can_have(studio, name):
    async with studio.session() as session:
        done = await upload(session, b"video", name=name)
    folder, _, file = (await only_upload(studio)).partition("/")
    assert len(folder) == 8
    assert file == done["video"]
    assert not set(file) & set('/\\<>"\x00')
    assert 0 < len(file.encode()) <= 200


async def test_blocks_of_a_wrong_size_and_foreign_uploads_are_refused(studio):
    async with studio.session() as session:
        async with session.post("/api/uploads", json={"name": "a.mp4", "size": 10}) as answer:
            upload_ = (await answer.json())["upload"]
        async with session.put(f"/api/uploads/{upload_}/0", data=b"short") as answer:
            assert answer.status == 400
            assert "must have 10 bytes" in await problem(answer)
        async with session.put(f"/api/uploads/{upload_}/1", data=b"") as answer:
            assert answer.status == 400
        async with session.put("/api/uploads/forged/0", data=b"x" * 10) as answer:
            assert answer.status == 404
        async with session.put(f"/api/uploads/{upload_}/0", data=b"x" * (5 << 20)) as answer:
            assert answer.status == 413


# Previews


async def test_a_preview_is_the_picture_as_a_job_would_paint_it(studio):
    rows, columns = np.mgrid[0:48, 0:64]
    pixels = np.stack([rows * 5, columns * 4, rows + columns], axis=2).astype(np.uint8)
    asked = {"width": "64", "height": "48", "style": "great-wave"}
    async with studio.session() as session:
        async with session.post("/api/previews", params=asked, data=pixels.tobytes()) as answer:
            assert answer.content_type == "image/jpeg"
            painted = await answer.read()
        unpainted = asked | {"strength": "0"}
        async with session.post("/api/previews", params=unpainted, data=pixels.tobytes()) as answer:
            source = await answer.read()
        for wrong in ({"width": "63"}, {"width": "4000"}, {"style": "x"}, {"height": "ten"}):
            async with session.post(
                "/api/previews", params=asked | wrong, data=pixels.tobytes()
            ) as answer:
                assert answer.status == 400
                await problem(answer)

    def decoded(jpeg: bytes) -> np.ndarray:
        with av.open(BytesIO(jpeg)) as container:
            return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)

    assert decoded(painted).shape == (48, 64, 3)
    assert abs(decoded(source) - pixels).mean() < 3
    assert abs(decoded(painted) - decoded(source)).mean() > 20


# Jobs


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
    assert found == [status.job_id for status in reversed(jobs)]
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
    assert [name async for name in studio.blobs.names(studio.names["jobs"])] == []


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


async def heard(events: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    async with asyncio.timeout(10):
        lines = (await events.content.readany()).decode().strip()
    found = []
    for event in lines.split("\n\n"):
        kind, data = (line.partition(": ")[2] for line in event.splitlines())
        value = json.loads(data)
        found.append((kind, value.get("id", "") if isinstance(value, dict) else value))
    return found


# The live picture


async def test_what_is_painted_without_a_gap_can_be_played(studio):
    job = (await studio.job()).job_id
    async with studio.session() as session:
        async with session.get(f"/api/jobs/{job}/live") as answer:
            assert answer.status == 404
        for number in (0, 1, 3):
            await studio.segment(job, number)
        await asyncio.sleep(0.5)  # for so long one look at storage serves everybody
        async with session.get(f"/api/jobs/{job}/live") as answer:
            live = await answer.json()
        async with session.get(f"/api/jobs/{job}") as answer:
            shown = (await answer.json())["live"]
        stream = b""
        for name in ("init.mp4", "0.m4s", "1.m4s"):
            async with session.get(f"/api/jobs/{job}/live/{name}") as answer:
                assert "immutable" in answer.headers["Cache-Control"]
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


async def body(session: aiohttp.ClientSession, path: str) -> bytes:
    async with session.get(path) as answer:
        assert answer.status == 200
        return await answer.read()


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


# Results


async def test_a_result_comes_whole_or_in_ranges_and_under_its_name(studio):
    video = secrets.token_bytes((4 << 20) + 1000)
    await studio.blobs.create(studio.names["results"], "x/Fête.the-scream.mp4", video)
    job = (await studio.job(state="done", result="x/Fête.the-scream.mp4")).job_id
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
        async with session.get(address, headers={"Range": "bytes=99999999-"}) as answer:
            assert answer.status == 416
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


# The description


async def test_the_description_lists_exactly_what_is_answered(studio):
    async with studio.session() as session, session.get("/api/openapi.json") as answer:
        described = await answer.json()
    operations = {
        (method.upper(), path) for path, methods in described["paths"].items() for method in methods
    }
    assert len(operations) == len(ENDPOINTS)
    assert ("PUT", "/api/uploads/{upload}/{number}") in operations
    text = json.dumps(described)
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in described["components"]["schemas"]
