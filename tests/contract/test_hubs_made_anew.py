"""Jobs that are open while the hubs are made anew, as an emulator does that starts again."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from contract.conftest import broker
from contract.test_services import running
from contract.test_stalls import Loser, lose_chunks, seal, send_chunks
from ports import unused_port
from splits_bench import bench_of

from shared.contracts.messages import ChunkReady, SegmentReady, SplitCompleted, decode
from shared.hubs.delivery import Delivery
from shared.storage.blobs import BlobStore

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
    pytest.mark.slow,
]
Renew = Callable[[], Awaitable[None]]


class Keeper(Loser):
    """A stylizer that takes chunks up and keeps them in hand."""

    async def take(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        assert isinstance(event, ChunkReady)
        self.taken.append(event)


@asynccontextmanager
async def hubs(factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, Renew]]:
    """Run a broker; yield its connection string, and what replaces it by an empty one."""
    port = unused_port()
    async with contextlib.AsyncExitStack() as later:
        old = await later.enter_async_context(contextlib.AsyncExitStack())
        connection = await old.enter_async_context(broker(factory.mktemp("old"), port))

        async def renew() -> None:
            await old.aclose()
            await later.enter_async_context(broker(factory.mktemp("new"), port))

        yield connection, renew


async def test_an_open_job_is_followed_to_its_end_though_its_events_are_gone(
    storage_connection: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = uuid.uuid4().hex[:24]
    async with (
        hubs(tmp_path_factory) as (connection, renew),
        running(
            storage_connection, connection, consumer_patience_s=4.1, redrive_after_s=0.5
        ) as bench,
    ):
        await seal(bench, job, 3)
        await send_chunks(bench, job, 3)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=3, frames=24))
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))

        async def begun() -> bool:
            status = await bench.look(job)
            return status is not None and status.chunks_stylized == 1

        await bench.until(begun)
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


async def test_an_upload_that_waits_for_a_slot_is_split_though_its_event_is_gone(
    storage_connection: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, go = BlobStore.read_range, asyncio.Event()

    async def slow(self: BlobStore, container: str, name: str, *part: Any) -> bytes | None:
        if name == "busy.mp4":
            await go.wait()
        return await read(self, container, name, *part)

    monkeypatch.setattr(BlobStore, "read_range", slow)
    async with (
        hubs(tmp_path_factory) as (connection, renew),
        bench_of(storage_connection, connection, splits=1, consumer_patience_s=4.1) as bench,
        bench.splitting(),
    ):
        # One video has the slot, which another waits for
        await bench.job("busy.mp4", await bench.upload("busy.mp4", 8))
        waiting = await bench.job("film.mp4", await bench.upload("film.mp4", 8))
        await renew()
        # When the hub is read anew, nobody else will ever get that one's event
        await bench.job("clip.mp4", await bench.upload("clip.mp4", 8))
        go.set()
        assert (await bench.sealed(waiting.job_id)).frames == 8
