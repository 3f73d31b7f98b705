"""Splits that are tried more than once: remains of one attempt do not disturb the next."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import psutil
import pytest
from splits_bench import bench_of
from videos import LARGE_FRAMES, large_video

from shared.contracts.errors import PermanentError
from shared.contracts.layout import chunk_blob, progress_blob
from shared.contracts.manifest import Manifest
from shared.contracts.status import SplitProgress
from shared.hubs import scarcity
from shared.storage.blobs import BlobStore
from splitter.budget import Ledger
from splitter.intake.budgets import Budgets, ledger_blob
from splitter.job import SplitJob

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHUNKS = LARGE_FRAMES // 8


def decoders() -> list[psutil.Process]:
    """The decoders that live: forks of a child of this process."""
    found: list[psutil.Process] = []
    for server in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "splitter.decoder" in " ".join(server.cmdline()):
                found += server.children()
    return found


async def test_a_decoder_that_is_killed_once_is_started_again_and_blamed_the_second_time(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        job = await bench.job("once.mp4", await bench.put("once.mp4", large_video()))
        await bench.waits_for(job, "a stylizer")
        # As the kernel does that runs out of memory, for whoever's sake
        [decoder] = decoders()
        decoder.kill()
        await bench.painted(job, 100)
        assert (await bench.sealed(job.job_id)).frames == LARGE_FRAMES

        bad = await bench.job("bad.mp4", await bench.put("bad.mp4", large_video()))

        async def blamed() -> bool:
            for decoder in decoders():
                with suppress(psutil.NoSuchProcess):
                    decoder.kill()
            return bench.failed() == {"DECODER_OUT_OF_MEMORY"}

        await bench.until(blamed)
        assert await bench.manifest(bad.job_id) is None


async def test_a_split_does_not_end_while_a_chunk_of_an_earlier_try_is_on_its_way(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, held, go = BlobStore.create, asyncio.Event(), asyncio.Event()

    async def slow_once(self: BlobStore, container: str, name: str, *what: Any, **how: Any) -> Any:
        if name.endswith("/00000000.mp4") and not held.is_set():
            held.set()
            await go.wait()
        return await create(self, container, name, *what, **how)

    monkeypatch.setattr(BlobStore, "create", slow_once)
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        job = await bench.job("film.mp4", await bench.put("film.mp4", large_video()))
        await bench.waits_for(job, "a stylizer")
        [decoder] = decoders()
        decoder.kill()
        # The second try ships all by itself
        await bench.painted(job, 100)
        frames, last = bench.settings.frames_container, chunk_blob(job.job_id, CHUNKS - 1)
        await bench.until(lambda: bench.blobs.facts(frames, last))
        await asyncio.sleep(1)
        assert await bench.manifest(job.job_id) is None
        go.set()
        assert len((await bench.sealed(job.job_id)).chunks) == CHUNKS


async def test_a_video_that_ends_its_splitter_again_and_again_is_given_up(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection, split_attempts=2) as bench:
        etag = await bench.upload("killer.mp4", 8)
        container = bench.settings.jobs_container
        async with bench.splitting(split_attempts=2):
            job = await bench.job("killer.mp4", etag)
            await bench.sealed(job.job_id)
        # Two splitters have begun with it, and nothing came of it
        await bench.blobs.delete(bench.settings.frames_container, f"{job.job_id}/manifest.json")
        await bench.blobs.delete(container, progress_blob(job.job_id))
        await bench.openings(2).begin("killer.mp4", etag, job)
        with pytest.raises(PermanentError, match="ended the splitter 2 times at the same place"):
            await bench.openings(2).begin("killer.mp4", etag, job)
        await bench.tell("killer.mp4", etag)
        async with bench.splitting():

            async def dead_lettered() -> bool:
                letters = bench.blobs.names(bench.settings.dead_letters_container)
                return [name async for name in letters] != []

            await bench.until(dead_lettered)
        assert await bench.manifest(job.job_id) is None


async def test_a_split_that_waited_when_its_splitter_was_killed_is_not_counted(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.upload("film.mp4", 8)
            job = await bench.job("film.mp4", etag)
            await bench.sealed(job.job_id)
        record = progress_blob(job.job_id)
        for minute in range(10):
            at = f"2026-01-01T00:0{minute}:00+00:00"
            waits = SplitProgress(frames=8, chunks=1, waiting_for="a stylizer", at=at)
            await bench.blobs.replace(bench.settings.jobs_container, record, waits.to_json())
            await bench.openings(2).begin("film.mp4", etag, job)
        # One that is killed before it records anything did not wait: the record is an earlier one's
        await bench.openings(2).begin("film.mp4", etag, job)
        with pytest.raises(PermanentError, match="ended the splitter 2 times at the same place"):
            await bench.openings(2).begin("film.mp4", etag, job)


async def test_a_machine_without_memory_is_waited_for_once_and_the_video_is_not_blamed(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, failures = SplitJob.run, [RuntimeError("can't start new thread")]

    async def scarce(self: SplitJob) -> Manifest:
        if failures:
            raise failures.pop()
        return await run(self)

    monkeypatch.setattr(SplitJob, "run", scarce)
    monkeypatch.setattr(scarcity, "PATIENCE_S", 0.0)
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        once = await bench.job("once.mp4", await bench.upload("once.mp4", 8))
        assert (await bench.sealed(once.job_id)).frames == 8
        assert bench.failed() == set()


async def test_frames_are_charged_though_the_splitter_ended_just_before_that(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_: object) -> None:
        """Charge nothing, as a splitter does that was killed."""

    async with bench_of(storage_connection, eventhub_connection, budget_daily_frames=100) as bench:
        with monkeypatch.context() as killed:
            killed.setattr(Budgets, "charge", ended)
            async with bench.splitting():
                etag = await bench.upload("eve/film.mp4", 16)
                job = await bench.job("eve/film.mp4", etag)
                await bench.until(lambda: bench.split(1))
        # When its event comes again, to another splitter
        await bench.tell("eve/film.mp4", etag)
        async with bench.splitting():
            await bench.until(lambda: bench.split(1))
        ledger = await bench.blobs.read(
            bench.settings.frames_container, ledger_blob("eve/film.mp4")
        )
    assert ledger
    assert Ledger.model_validate_json(ledger).jobs[job.job_id].frames == 16
