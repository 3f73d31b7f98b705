"""What people see of a studio whose storage does not answer, and when it answers again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import aiohttp
import pytest
from studio_bench import problem

from shared.contracts.errors import TransientError
from shared.storage.blobs import BlobStore
from web.jobs import board
from web.pieces import PIECE_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="session")

AWAY = TransientError("cannot list jobs: storage.example:443 refuses connections")


async def kinds(events: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """Yield the kind of each event of a stream."""
    async for line in events.content:
        kind, _, value = line.decode().strip().partition(": ")
        if kind == "event":
            yield value


def fail(*_args: object) -> None:
    raise AWAY


async def received(answer: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Return what came of an answer, and whether its client takes it for whole."""
    came = b""
    try:
        async for data in answer.content.iter_any():
            came += data
    except aiohttp.ClientPayloadError:
        return came, False
    return came, True


async def test_followers_hear_that_storage_is_away_and_when_it_is_back(studio, monkeypatch):
    await studio.job()
    async with studio.session() as session, session.get("/api/events") as events:
        heard = kinds(events)
        assert [await anext(heard) for _ in range(2)] == ["job", "ready"]
        with monkeypatch.context() as stopped:
            stopped.setattr(BlobStore, "fetch", fail)
            stopped.setattr(BlobStore, "items", fail)
            assert await anext(heard) == "away"
        assert await anext(heard) == "ready"


async def test_a_studio_that_has_not_seen_storage_yet_does_not_say_that_there_are_no_jobs(
    studio, monkeypatch
):
    await studio.job()
    with monkeypatch.context() as stopped:
        stopped.setattr(BlobStore, "items", fail)
        async with studio.session() as session, session.get("/api/events") as events:
            heard = kinds(events)
            assert await anext(heard) == "away"
            stopped.undo()
            assert [await anext(heard) for _ in range(2)] == ["job", "ready"]


async def test_a_download_that_storage_breaks_off_does_not_look_whole(studio, monkeypatch):
    video = secrets.token_bytes(3 * PIECE_BYTES)
    job = (await studio.job(state="done", result="a.mp4")).job_id
    await studio.result(job, "a.mp4", video)
    read_range = BlobStore.read_range

    async def once(store: BlobStore, container: str, name: str, begin: int, *rest: object):
        if begin:
            raise AWAY
        return await read_range(store, container, name, begin, *rest)

    monkeypatch.setattr(BlobStore, "read_range", once)
    address = f"/api/jobs/{job}/result"
    async with studio.session() as session:
        async with session.get(address) as answer:
            came, whole = await received(answer)
        async with session.get(address, headers={"Range": f"bytes={PIECE_BYTES}-"}) as refused:
            assert refused.status == 503
            assert "storage does not answer" in await problem(refused)
    assert not whole
    assert came == video[: len(came)]


async def test_one_look_that_fails_serves_all_who_ask(studio, monkeypatch):
    looks = []

    def fail_and_count(*_args: object) -> None:
        looks.append(None)
        raise AWAY

    monkeypatch.setattr(BlobStore, "items", fail_and_count)
    monkeypatch.setattr(board, "_FRESH_S", 60.0)
    async with studio.session() as session:

        async def ask() -> int:
            async with session.get("/api/jobs") as answer:
                return answer.status

        assert await asyncio.gather(*(ask() for _ in range(5))) == [503] * 5
    assert len(looks) == 1
