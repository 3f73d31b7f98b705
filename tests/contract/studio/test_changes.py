"""Jobs that change, or are deleted, while the studio looks at them."""

from __future__ import annotations

import asyncio
import json

import pytest
from studio_bench import body

from client import Pipeline
from shared.contracts.layout import status_blob
from web.access.users import EVERYBODY
from web.jobs import board
from web.live.segments import Segments

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_cancelled_job_stays_cancelled_though_an_older_record_is_still_being_read(
    studio, monkeypatch
):
    job = (await studio.job(state="splitting")).job_id
    ordered, begun, seen = asyncio.Event(), asyncio.Event(), asyncio.Event()
    load, cancel, reread = board.load_progress, Pipeline.cancel, board.Board.reread

    async def load_late(*args):
        if ordered.is_set():
            begun.set()
            await seen.wait()
        return await load(*args)

    async def cancel_late(*args):
        ordered.set()
        await begun.wait()
        return await cancel(*args)

    async def reread_first(*args):
        await reread(*args)
        seen.set()

    monkeypatch.setattr(board, "load_progress", load_late)
    monkeypatch.setattr(Pipeline, "cancel", cancel_late)
    monkeypatch.setattr(board.Board, "reread", reread_first)
    async with (
        studio.session() as session,
        session.get("/api/events"),
        session.post(f"/api/jobs/{job}/cancel") as answer,
    ):
        assert (await answer.json())["state"] == "cancelled"


async def test_a_deleted_job_stays_away_though_its_record_is_still_being_read(studio, monkeypatch):
    job = (await studio.job(state="splitting")).job_id
    jobs = studio.names["jobs"]
    segments = Segments(studio.blobs, studio.names["segments"], 1 << 20)
    shown = board.Board(studio.blobs, segments, jobs)
    await shown.reread(job)
    begun, deleted, load = asyncio.Event(), asyncio.Event(), board.load_progress

    async def load_late(*args):
        begun.set()
        await deleted.wait()
        return await load(*args)

    monkeypatch.setattr(board, "load_progress", load_late)
    reading = asyncio.create_task(shown.reread(job))
    await begun.wait()
    await studio.blobs.delete(jobs, status_blob(job))
    shown.forget(job)
    deleted.set()
    await reading
    assert shown.visible(EVERYBODY) == []
    assert shown.changed(0, EVERYBODY) == ([], [job])


async def test_a_stream_of_a_job_that_was_deleted_as_it_began_says_so_and_ends(studio, monkeypatch):
    job = (await studio.job(state="done")).job_id
    find = board.Board.find

    async def find_last(shown, *args):
        entry = await find(shown, *args)
        await studio.blobs.delete(studio.names["jobs"], status_blob(job))
        shown.forget(job)
        return entry

    monkeypatch.setattr(board.Board, "find", find_last)
    async with studio.session() as session, asyncio.timeout(60):
        said = await body(session, f"/api/jobs/{job}/events")
    assert f"event: gone\ndata: {json.dumps(job)}\n".encode() in said
