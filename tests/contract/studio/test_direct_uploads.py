"""Uploads straight to storage: what a signed link allows, and what it does not."""

from __future__ import annotations

import base64
import secrets

import aiohttp
import pytest
from studio_bench import only_upload, opened
from yarl import URL

from client.links import Links
from local import account
from shared.contracts.layout import job_id
from shared.contracts.style_request import StyleRequest
from web.uploads import BLOCK_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="session")

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}


async def put_block(http: aiohttp.ClientSession, link: str, number: int, data: bytes) -> int:
    block = base64.b64encode(b"%05d" % number).decode()
    address = URL(f"{link}&comp=block&blockid={block.replace('=', '%3D')}", encoded=True)
    async with http.put(address, data=data) as answer:
        return answer.status


async def put_blob(http: aiohttp.ClientSession, link: str, **metadata: str) -> int:
    headers = {f"x-ms-meta-{name}": value for name, value in metadata.items()}
    headers["x-ms-blob-type"] = "BlockBlob"
    async with http.put(URL(link, encoded=True), data=b"video", headers=headers) as answer:
        return answer.status


async def test_blocks_go_straight_to_storage_and_on_after_a_break(storage_connection):
    video = secrets.token_bytes(2 * BLOCK_BYTES + 9)
    async with (
        opened(storage_connection, web_direct_uploads=True) as studio,
        studio.session() as session,
        aiohttp.ClientSession() as http,
    ):
        asked = {"name": "a.mp4", "size": len(video), "style": "great-wave"}
        async with session.post("/api/uploads", json=asked) as answer:
            first = await answer.json()
        assert await put_block(http, first["link"], 2, video[-9:]) == 201
        assert await put_block(http, first["link"], 0, b"not four MiB") == 201

        address = f"/api/uploads/{first['upload']}"
        async with session.get(address) as answer:
            again = await answer.json()
        assert again["blocks"] == [2]
        assert await put_block(http, again["link"], 0, video[:BLOCK_BYTES]) == 201
        # One block by the other way: they are the same blocks.
        await session.put(f"{address}/1", data=video[BLOCK_BYTES : 2 * BLOCK_BYTES])
        async with session.post(f"{address}/complete") as answer:
            done = await answer.json()

        name = await only_upload(studio)
        stored = await studio.blobs.fetch(studio.names["uploads"], name)
        assert stored.data == video
        style = StyleRequest(style="great-wave")
        assert done["job"] == job_id(studio.names["uploads"], name, stored.etag, style)
        async with session.get(address) as answer:
            assert (await answer.json())["link"] is None


async def test_who_has_a_link_gets_into_nobody_elses_list(storage_connection):
    async with (
        opened(
            storage_connection,
            web_sign_in="proxy",
            web_operators="boss",
            web_token=None,
            web_direct_uploads=True,
        ) as studio,
        aiohttp.ClientSession() as http,
    ):
        ann = await link_of("ann", studio)
        bob = await link_of("bob", studio)
        # Bob makes the blob himself, and claims that it is Ann's; it stays under the link's name.
        assert await put_blob(http, bob, owner="ann") == 201
        forged = bob.replace(URL(bob).parts[3], URL(ann).parts[3])
        assert await put_blob(http, forged) == 403
        jobs = {"bob's": (await studio.job(video_name=await only_upload(studio))).job_id}
        # A link of the command line may create one blob, with any metadata.
        uploads = studio.names["uploads"]
        given = await Links(studio.account).upload(uploads, "for-ann.mp4", hours=1)
        assert await put_blob(http, given, owner="ann") == 201
        jobs["nobody's"] = (await studio.job(video_name="for-ann.mp4")).job_id

        assert await listed("ann", studio) == set()
        assert await listed("bob", studio) == {jobs["bob's"]}
        assert await listed("boss", studio) == set(jobs.values())


async def link_of(user: str, studio) -> str:
    async with (
        studio.session(**{"X-Forwarded-User": user}, **OWN_PAGE) as session,
        session.post("/api/uploads", json={"name": "a.mp4", "size": 5}) as answer,
    ):
        return (await answer.json())["link"]


async def listed(user: str, studio) -> set[str]:
    async with (
        studio.session(**{"X-Forwarded-User": user}) as session,
        session.get("/api/jobs") as answer,
    ):
        return {job["id"] for job in (await answer.json())["jobs"]}


async def test_storage_lets_one_origin_put_and_no_other(storage_connection):
    origin = "http://127.0.0.1:28680"
    await account.allow_origin(storage_connection, origin)
    async with (
        opened(storage_connection, web_direct_uploads=True) as studio,
        studio.session() as session,
    ):
        async with session.get("/") as answer:
            policy = answer.headers["Content-Security-Policy"]
        async with session.post("/api/uploads", json={"name": "a", "size": 5}) as answer:
            link = URL((await answer.json())["link"], encoded=True)
    assert f"connect-src 'self' {link.origin()}" in policy
    asked = {"Access-Control-Request-Method": "PUT"}
    async with aiohttp.ClientSession() as http:
        answers = {}
        for page in (origin, "https://elsewhere.example"):
            async with http.options(link, headers={"Origin": page, **asked}) as answer:
                answers[page] = answer.headers.get("Access-Control-Allow-Origin")
    assert answers == {origin: origin, "https://elsewhere.example": None}
