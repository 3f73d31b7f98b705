"""Who may use the studio, and what its HTTP API says of itself."""

from __future__ import annotations

import asyncio
import json
import secrets
import time

import aiohttp
import pytest
from studio_bench import TOKEN, only_upload, opened, problem, upload
from yarl import URL

from shared.contracts.layout import status_blob
from web.access.users import User
from web.application import ENDPOINTS

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_only_who_has_the_token_gets_in(studio):
    async with studio.session(Accept="*/*") as stranger:
        for path in ("/api/session", "/api/jobs", "/api/events", "/api/openapi.json"):
            async with stranger.get(path) as answer:
                assert answer.status == 401
                assert "address that was printed" in await problem(answer)
        for asked in ({}, {"token": "wrong"}):
            async with stranger.get("/", params=asked) as answer:
                assert (answer.status, answer.content_type) == (401, "text/html")
                assert "address that was printed" in await answer.text()
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


async def test_bytes_that_are_no_text_are_a_wrong_token_and_no_fault(studio):
    sent = [
        b"GET /api/jobs HTTP/1.1\r\nAuthorization: Bearer \xff\xfe\r\n",
        b"GET /api/jobs HTTP/1.1\r\nCookie: session=\xff\r\n",
        b"GET /?token=%FF%00 HTTP/1.1\r\n",
    ]
    for request in sent:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(studio.url).port)
        writer.write(request + b"Host: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"401", request
        writer.close()
        await writer.wait_closed()


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
                assert answer.headers["Referrer-Policy"] == "same-origin"


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


async def test_who_signs_out_after_their_session_has_ended_is_signed_out(storage_connection):
    entra = {
        "web_sign_in": "entra",
        "web_token": None,
        "web_public_url": "http://127.0.0.1",
        "entra_tenant_id": "tenant",
        "entra_client_id": "client",
        "entra_client_secret": "secret",
    }
    async with (
        opened(storage_connection, **entra) as studio,
        studio.session(Accept="*/*") as browser,
    ):
        async with browser.post("/sign-out", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/signed-out")
        async with browser.get("/api/jobs") as answer:
            assert answer.status == 401
            assert "reload the page to sign in" in await problem(answer)


async def test_nobody_hears_that_a_job_of_another_was_deleted(storage_connection):
    async with (
        opened(storage_connection, web_sign_in="proxy", web_token=None) as studio,
        studio.session(**{"X-Forwarded-User": "ann"}) as ann,
        studio.session(**{"X-Forwarded-User": "bob"}) as bob,
        ann.get("/api/events") as events,
    ):
        theirs, own = [
            await studio.job(video_name=f"{User(name, name, operator=False).folder}/1/a.mp4")
            for name in ("bob", "ann")
        ]
        heard = await events.content.readuntil(b"event: job")
        for job, user in ((theirs, bob), (own, ann)):
            await studio.blobs.delete(studio.names["jobs"], status_blob(job.job_id))
            await until_gone(user, job.job_id)
        heard += await events.content.readuntil(b"event: gone")
        heard += await events.content.readuntil(own.job_id.encode())
    assert theirs.job_id.encode() not in heard


async def test_behind_a_proxy_a_stream_ends_after_an_hour_so_that_the_proxy_decides_again(
    storage_connection, monkeypatch
):
    async with (
        opened(storage_connection, web_sign_in="proxy", web_token=None) as studio,
        studio.session(**{"X-Forwarded-User": "ann"}) as ann,
        ann.get("/api/events") as events,
    ):
        await events.content.readuntil(b"event: ready")
        later = time.time() + 3600
        monkeypatch.setattr(time, "time", lambda: later)
        async with asyncio.timeout(30):
            await events.content.read()


async def until_gone(session: aiohttp.ClientSession, job: str) -> None:
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"/api/jobs/{job}") as answer:
                if answer.status == 404:
                    return
            await asyncio.sleep(0.1)


async def test_the_description_lists_exactly_what_is_answered(studio):
    async with studio.session() as session, session.get("/api/openapi.json") as answer:
        described = await answer.json()
    operations = {
        (method.upper(), path) for path, methods in described["paths"].items() for method in methods
    }
    assert len(operations) == len(ENDPOINTS)
    assert ("PUT", "/api/uploads/{upload}/{number}") in operations
    assert "400" in described["paths"]["/api/jobs"]["get"]["responses"]
    text = json.dumps(described)
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in described["components"]["schemas"]
