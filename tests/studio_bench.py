"""A studio on a real port and a real Azurite, with jobs as the services leave them."""

from __future__ import annotations

import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cache

import aiohttp
import av
from aiohttp import web
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob.aio import BlobServiceClient
from prometheus_client import CollectorRegistry
from videos import number_picture

from shared.contracts.layout import chunk_blob, status_blob
from shared.contracts.segment_place import ENCODER, SegmentPlace
from shared.contracts.status import Status, utc_now
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter
from shared.media.encodings import SEGMENT
from shared.storage.blobs import BlobStore
from shared.storage.seals import seal
from shared.styles.gallery import open_gallery
from web.application import application
from web.metrics import WebMetrics
from web.previews import Previews
from web.settings import WebSettings
from web.studio import Studio
from web.uploads import BLOCK_BYTES

TOKEN = "a-token-that-is-long-enough-for-a-test"
TICK = Fraction(1, 30000)
FRAME = 1001


class Opened:
    """A running studio, its storage, and how to ask it."""

    def __init__(
        self, client: BlobServiceClient, names: dict[str, str], url: str, asked: list[HttpRequest]
    ) -> None:
        self.account = client
        self.asked = asked
        """Every request to storage so far, also those of the test."""
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

    async def result(self, job: str, name: str, video: bytes) -> None:
        """Leave a job's result."""
        await self.blobs.create(self.names["results"], name, video, metadata={"job_id": job})

    async def segment(
        self, job: str, number: int, frames: int = 4, encoder: str = "", *, late: int = 0
    ) -> None:
        """Leave a painted segment as a stylizer does, in place of one that has to go.

        ``late`` is the tick at which the job's first frame is shown.
        """
        writer = ChunkWriter(SEGMENT, width=64, height=48, time_base=TICK)
        for place in range(frames):
            picture = number_picture(number * frames + place, 64, 48)
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            frame.pts = place * FRAME
            writer.write(frame)
        data = writer.close(frames * FRAME)
        place = SegmentPlace(late + number * frames * FRAME, frames * FRAME, TICK)
        await self.blobs.replace(
            self.names["segments"],
            chunk_blob(job, number),
            data,
            metadata=seal(data) | place.metadata() | ({ENCODER: encoder} if encoder else {}),
        )


@cache
def _previews() -> Previews:
    """Those of all studios: what one has painted of the example, no other paints again."""
    return Previews(open_gallery(None, "starry-night"), 2)


@asynccontextmanager
async def opened(storage_connection: str, port: int = 0, **settings: object):
    """Run a studio on containers of its own; by default on any port."""
    suffix = secrets.token_hex(4)
    names = {name: f"{name}-{suffix}" for name in ("uploads", "results", "segments", "jobs")}
    values = {"web_token": TOKEN, "web_secret": TOKEN, **settings}
    asked: list[HttpRequest] = []
    async with BlobServiceClient.from_connection_string(
        storage_connection, raw_request_hook=lambda sent: asked.append(sent.http_request)
    ) as client:
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
        studio.previews.close()
        studio = replace(studio, previews=_previews())
        runner = web.AppRunner(application(studio), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield Opened(client, names, f"http://127.0.0.1:{runner.addresses[0][1]}", asked)
        finally:
            studio.close()
            await runner.cleanup()


async def problem(answer: aiohttp.ClientResponse) -> str:
    assert answer.content_type == "application/problem+json"
    body = json.loads(await answer.read())
    assert body["status"] == answer.status
    return body["detail"]


async def upload(session: aiohttp.ClientSession, video: bytes, **wanted: object) -> dict:
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


async def body(session: aiohttp.ClientSession, path: str) -> bytes:
    async with session.get(path) as answer:
        assert answer.status == 200
        return await answer.read()
