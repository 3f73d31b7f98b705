"""A studio with more open jobs than it keeps the segments of, or lists at once."""

from __future__ import annotations

import asyncio

import pytest

from shared.storage.blobs import BlobStore
from web.jobs import board
from web.live import segments

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_open_jobs_are_not_listed_anew_at_every_look_however_many_they_are(
    studio, monkeypatch
):
    monkeypatch.setattr(segments, "_REMEMBERED", 2)
    monkeypatch.setattr(segments, "_FRESH_S", 3600)
    watched = segments.Segments(studio.blobs, studio.names["segments"], 1)
    jobs = [(await studio.job()).job_id for _ in range(3)]
    for job in jobs:
        await studio.segment(job, 0)
    indexes = [await watched.index(job, ended=False) for job in jobs]
    studio.asked.clear()
    assert [await watched.index(job, ended=False) for job in jobs] == indexes
    assert studio.asked == []


async def test_what_nobody_asks_for_any_more_makes_room_for_others(studio, monkeypatch):
    monkeypatch.setattr(segments, "_REMEMBERED", 2)
    watched = segments.Segments(studio.blobs, studio.names["segments"], 1)
    first, *others = [(await studio.job()).job_id for _ in range(3)]
    await studio.segment(first, 0)
    before = await watched.index(first, ended=True)
    for job in others:
        await watched.index(job, ended=False)
    assert await watched.index(first, ended=True) is not before


async def test_the_segments_of_a_few_jobs_are_listed_at_once(studio, monkeypatch):
    monkeypatch.setattr(board, "_READS_AT_ONCE", 2)
    held = segments.Segments(studio.blobs, studio.names["segments"], 1)
    watched = board.Board(studio.blobs, held, studio.names["jobs"])
    for _ in range(6):
        await studio.job()
    items, listing, most = BlobStore.items, 0, 0

    async def counted(store, container, prefix=""):
        nonlocal listing, most
        of_segments = container == studio.names["segments"]
        listing += of_segments
        most = max(most, listing)
        # All that are not kept from it begin before the first ends.
        await asyncio.sleep(0)
        async for item in items(store, container, prefix):
            yield item
        listing -= of_segments

    monkeypatch.setattr(BlobStore, "items", counted)
    await watched.refresh()
    assert most == 2
