"""Jobs that are open while the hubs are recreated, as by an emulator that restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from assembler_bench import (
    Bench,
    Loser,
    Reminder,
    assembling,
    lose_chunks,
    running,
    seal,
    send_chunks,
)
from contract.conftest import HUBS, broker
from ports import unused_port
from prometheus_client import CollectorRegistry
from sdk_pauses import MODULES
from splits_bench import bench_of

from shared.contracts.messages import ChunkReady, SegmentReady, SplitCompleted, decode
from shared.hubs import publisher
from shared.hubs.delivery import Delivery
from shared.storage.blobs import BlobStore

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
    pytest.mark.slow,
]
Renew = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def _the_sdks_own_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the assembler time to notice the new hub before it sends chunks again."""
    for module in MODULES:
        monkeypatch.setattr(f"{module}.asyncio", asyncio)


class Keeper(Loser):
    """A stylizer that takes chunks up and keeps them in hand."""

    async def take(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        assert isinstance(event, ChunkReady)
        self.taken.append(event)


def _copy_without(hub: str, before: Path, after: Path) -> None:
    """Copy all of a broker's hubs but one, which it recreates when it starts."""
    shutil.copytree(before, after, ignore=shutil.ignore_patterns(hub))
    listed = after / "hubs.json"
    stored = json.loads(listed.read_text())
    others = [entry for entry in stored["hubs"] if entry["name"] != hub]
    # As a person may write it: without a checksum
    listed.write_text(json.dumps({"version": stored["version"], "hubs": others}))


@asynccontextmanager
async def hubs(factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Renew]]:
    """Run a broker; yield its connection string, and what replaces it by one with empty hubs."""
    port, before, after = unused_port(), factory.mktemp("old"), factory.mktemp("new")
    async with contextlib.AsyncExitStack() as later:
        old = await later.enter_async_context(contextlib.AsyncExitStack())
        connection = await old.enter_async_context(broker(before, port))

        async def renew(only: str | None = None, **partitions: int) -> None:
            await old.aclose()
            if only is not None:
                await asyncio.to_thread(_copy_without, only, before / "hubs", after / "hubs")
            await later.enter_async_context(broker(after, port, {**HUBS, **partitions}))

        yield connection, renew


async def begin(bench: Bench, job: str) -> None:
    """Send a job of three chunks, of which the first is painted."""
    await seal(bench, job, 3)
    await send_chunks(bench, job, 3)
    await bench.hub.by_job(SplitCompleted(job_id=job, chunks=3, frames=24))
    await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))


@asynccontextmanager
async def painting_begun(
    storage: str, factory: pytest.TempPathFactory, job: str
) -> AsyncIterator[tuple[Bench, Renew]]:
    """Run an assembler that follows the job of `begin`; yield it, and what replaces its broker."""
    async with (
        hubs(factory) as (connection, renew),
        running(storage, connection, consumer_patience_s=4.1, redrive_after_s=0.5) as bench,
    ):
        await begin(bench, job)
        yield bench, renew


async def test_an_open_job_is_followed_to_its_end_though_its_events_are_gone(
    storage_connection: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = uuid.uuid4().hex[:24]
    async with painting_begun(storage_connection, tmp_path_factory, job) as (bench, renew):
        await bench.record(job, lambda status: status.chunks_stylized == 1)
        await renew()
        # The chunks that nobody has any more are sent again, and no others
        keeper = Keeper()
        painting = asyncio.create_task(lose_chunks(bench, keeper))

        async def sent_again() -> bool:
            return set(keeper.of(job)) == {1, 2}

        await bench.until(sent_again)
        painting.cancel()
        await asyncio.gather(painting, return_exceptions=True)
        for chunk in (1, 2):
            await bench.hub.by_job(SegmentReady(job_id=job, chunk=chunk, frames=8))
        status = await bench.ended(job)
    # It was complete: what lacks are the segments, which no test has put into storage
    assert status.error
    assert status.error.code == "SEGMENT_MISSING"


async def test_chunks_that_go_with_the_hub_of_frames_alone_are_sent_again(
    storage_connection: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = uuid.uuid4().hex[:24]
    async with painting_begun(storage_connection, tmp_path_factory, job) as (bench, renew):
        await bench.record(
            job, lambda status: status.waiting and status.waiting.reason == "a stylizer"
        )
        await renew("frames")
        # All else goes on where it was: what was announced is known, and what was not is painted
        reminder = Reminder(bench.hub.by_job)
        painting = asyncio.create_task(lose_chunks(bench, reminder))
        status = await bench.ended(job)
        painting.cancel()
        await asyncio.gather(painting, return_exceptions=True)
    assert status.error
    assert status.error.code == "SEGMENT_MISSING"
    assert set(reminder.of(job)) == {1, 2}


async def test_an_upload_that_waits_for_a_slot_is_split_though_its_event_is_gone(
    storage_connection: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, begun, go = BlobStore.read_range, asyncio.Event(), asyncio.Event()

    async def slow(self: BlobStore, container: str, name: str, *part: Any) -> bytes | None:
        if name == "busy.mp4":
            begun.set()
            await go.wait()
        return await read(self, container, name, *part)

    monkeypatch.setattr(BlobStore, "read_range", slow)
    monkeypatch.setattr(publisher, "KNOWN_S", 1.0)
    async with (
        hubs(tmp_path_factory) as (connection, renew),
        bench_of(storage_connection, connection, splits=1, consumer_patience_s=4.1) as bench,
        bench.splitting(outstanding_chunks=8),
    ):
        # One video has the slot, which another waits for
        await bench.upload("busy.mp4", 8)
        await begun.wait()
        waiting = await bench.job("film.mp4", await bench.upload("film.mp4", 24))
        await bench.waits_for(waiting, "a splitter")
        # The new hub of frames lacks partitions that the old one had
        await renew(frames=2)
        # When the hub is read anew, nobody else will ever get that one's event
        await bench.job("clip.mp4", await bench.upload("clip.mp4", 8))
        go.set()
        assert (await bench.sealed(waiting.job_id)).frames == 24


async def test_jobs_of_two_assemblers_end_though_a_hub_gives_their_partitions_to_either(
    storage_connection: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    jobs = [uuid.uuid4().hex[:24] for _ in range(6)]
    async with (
        hubs(tmp_path_factory) as (connection, renew),
        running(
            storage_connection, connection, consumer_patience_s=4.1, redrive_after_s=0.5
        ) as bench,
        assembling(bench.settings, other := CollectorRegistry()),
    ):

        async def shared() -> bool:
            hub = {"hub": bench.settings.segments_hub}
            owned = [
                metrics.get_sample_value("assembler_owned_partitions", hub)
                for metrics in (bench.metrics, other)
            ]
            return owned == [1, 1]

        await bench.until(shared)
        for job in jobs:
            await seal(bench, job, 2)
            await bench.hub.by_job(SplitCompleted(job_id=job, chunks=2, frames=16))
            await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))

        async def begun() -> bool:
            found = [await bench.look(job) for job in jobs]
            return all(status is not None and status.chunks_stylized == 1 for status in found)

        await bench.until(begun)
        await renew()
        reminder = Reminder(bench.hub.by_job)
        painting = asyncio.create_task(lose_chunks(bench, reminder))
        ends = [await bench.ended(job) for job in jobs]
        painting.cancel()
        await asyncio.gather(painting, return_exceptions=True)
    # They were complete: what lacks are the segments, which no test has put into storage
    assert [end.error and end.error.code for end in ends] == ["SEGMENT_MISSING"] * len(jobs)
    assert {job for job in jobs if reminder.of(job)} == set(jobs)
