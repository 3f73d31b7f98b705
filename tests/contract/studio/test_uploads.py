"""The studio's uploads and the previews before them."""

from __future__ import annotations

import asyncio
import secrets
from io import BytesIO

import av
import numpy as np
import pytest
from structlog.testing import capture_logs
from studio_bench import TOKEN, only_upload, problem, upload
from yarl import URL

from shared.contracts.layout import job_id
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import parse_style_request
from web.metrics import WebMetrics
from web.previews import LONGEST_SIDE, Previews
from web.uploads import BLOCK_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="session")


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


async def test_an_upload_continues_where_it_was_interrupted(studio):
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
            assert "some blocks" in await problem(answer)
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
        ({"name": "a.mp4", "size": 1, "style": "udnie@0,x@5"}, "there is no style 'x'"),
        ({"name": "a.mp4", "size": 1, "strength": 2}, "strength must be a number from 0 to 1"),
        ({"name": "a.mp4", "size": 1, "stile": "udnie"}, "there is no 'stile'; there are: name, "),
        ({"name": "a.mp4", "size": 0}, "size"),
        ({"size": 5}, "name"),
    ],
)
async def test_an_invalid_request_is_refused_before_the_video_is_sent(studio, asked, sentence):
    async with studio.session() as session, session.post("/api/uploads", json=asked) as answer:
        assert answer.status == 400
        assert sentence in await problem(answer)


async def test_numbers_and_booleans_of_json_are_those_that_texts_say(studio):
    async with studio.session() as session:
        await upload(
            session,
            b"video",
            name="a.mp4",
            strength=0.7,
            preserve_color=True,
            max_side=640,
            start=1.5,
        )
    (item,) = [item async for item in studio.blobs.items(studio.names["uploads"])]
    style = StyleRequest(
        style="starry-night", strength=0.7, preserve_color=True, max_side=640, start=1.5
    )
    assert parse_style_request(item.metadata, "starry-night") == style


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        '"><img src=x onerror=alert(1)>.mp4',
        "a\\b\x00.mp4",
        "turns\u202earound\u2066.mp4",
        "no character\ufffe\x85.mp4",
        "画" * 300 + ".mp4",
        "..",
    ],
)
async def test_any_name_becomes_one_that_blobs_and_files_can_have(studio, name):
    async with studio.session() as session:
        done = await upload(session, b"video", name=name)
    owner, folder, *rest = (await only_upload(studio)).split("/", 2)
    (file,) = rest
    assert owner == "studio"
    assert len(folder) == 8
    assert file == done["video"]
    assert not set(file) & set('/\\<>"\x00\x85\u202e\u2066\ufffe')
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


@pytest.mark.parametrize("path", ["/api/previews?width=64&height=48", "/api/uploads"])
async def test_a_client_that_leaves_while_it_sends_is_no_fault_of_the_studio(
    studio, monkeypatch, path
):
    counted: asyncio.Queue[int] = asyncio.Queue()
    monkeypatch.setattr(WebMetrics, "answered", lambda _, status: counted.put_nowait(status))
    headers = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/json",
        f"Content-Length: {64 * 48 * 3}",
        # It is answered as soon as the studio begins to read.
        "Expect: 100-continue",
    ]
    with capture_logs() as logged:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(studio.url).port)
        writer.write("\r\n".join([*headers, "", "the first bytes"]).encode())
        assert (await reader.readline()).split()[1] == b"100"
        writer.close()
        await writer.wait_closed()
        assert await counted.get() == 400
    assert not logged


async def test_a_body_that_is_not_compressed_as_it_says_is_refused(studio):
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with (
        studio.session() as session,
        session.post("/api/uploads", data=b"not gzip", headers=headers) as answer,
    ):
        assert answer.status == 400
        assert "gzip" in await problem(answer)


async def test_a_preview_is_the_picture_as_a_job_would_paint_it(studio, monkeypatch):
    rows, columns = np.mgrid[0:48, 0:64]
    pixels = np.stack([rows * 5, columns * 4, rows + columns], axis=2).astype(np.uint8)
    asked = {"width": "64", "height": "48", "style": "great-wave"}
    async with studio.session() as session:
        async with session.post("/api/previews", params=asked, data=pixels.tobytes()) as answer:
            assert answer.content_type == "image/jpeg"
            painted = await answer.read()
        with monkeypatch.context() as stopped:
            # The same picture again is not painted again.
            stopped.setattr(Previews, "_paint", None)
            async with session.post("/api/previews", params=asked, data=pixels.tobytes()) as answer:
                assert await answer.read() == painted
        unpainted = asked | {"strength": "0"}
        async with session.post("/api/previews", params=unpainted, data=pixels.tobytes()) as answer:
            source = await answer.read()
        later = asked | {"style": "the-scream@0s,great-wave@5s", "at": "6"}
        async with session.post("/api/previews", params=later, data=pixels.tobytes()) as answer:
            assert await answer.read() == painted
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


async def test_the_largest_picture_that_a_preview_may_have_is_taken(studio):
    pixels = bytes(LONGEST_SIDE * LONGEST_SIDE * 3)
    asked = {"width": str(LONGEST_SIDE), "height": str(LONGEST_SIDE), "strength": "0"}
    async with (
        studio.session() as session,
        session.post("/api/previews", params=asked, data=pixels) as answer,
    ):
        assert answer.status == 200
