"""People are told what holds up a split, and nothing while a splitter works on it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from assembler_bench import running, started
from splits_bench import bench_of
from videos import Sound, Video

from shared.contracts.status import SplitProgress, Status, utc_now
from shared.storage.progress import store_progress
from splitter.shipping import Shipping

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_split_that_is_worked_on_waits_for_nothing_however_long_it_takes(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.1, stall_timeout_s=60
    ) as bench:

        async def note(**progress: Any) -> None:
            noted = SplitProgress(frames=32, chunks=4, **progress)
            await store_progress(bench.blobs, bench.settings.jobs_container, job, noted)

        await note(at=utc_now(), waiting_for="its sound to be stored")
        await bench.hub.by_job(started(job))
        await bench.record(job, waits_for("its sound to be stored"))
        await note(at=utc_now())
        await bench.record(job, lambda status: status.waiting is None)
        # Its splitter is gone, until another has begun
        long_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
        await note(at=long_ago)
        await bench.record(job, waits_for("a splitter"))
        await note(at=utc_now())
        await bench.record(job, lambda status: status.waiting is None)


async def test_a_split_says_that_its_sound_is_being_stored(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship, stored = Shipping.ship_side, asyncio.Event()

    async def slowly(self: Shipping, *side: Any) -> None:
        await stored.wait()
        await ship(self, *side)

    monkeypatch.setattr(Shipping, "ship_side", slowly)
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        video = Video(frames=8, size=(64, 48), sounds=[Sound()]).make()
        job = await bench.job("loud.mp4", await bench.put("loud.mp4", video))
        await bench.waits_for(job, "its sound to be stored")
        stored.set()
        assert (await bench.sealed(job.job_id)).side


def waits_for(reason: str) -> Callable[[Status], bool]:
    return lambda status: status.waiting is not None and status.waiting.reason == reason
