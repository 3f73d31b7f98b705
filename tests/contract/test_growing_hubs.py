"""Hubs that are given more partitions in place, as Event Hubs allows on its dedicated tiers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from pathlib import Path
from zlib import crc32

import pytest
from assembler_bench import Bench, Reminder, assembling, lose_chunks, running, seal, started
from azure.storage.blob.aio import BlobServiceClient
from contract.conftest import HUBS, broker
from films import CHUNKS, Film
from hub_reader import HUB, reader_of, send
from ports import unused_port
from prometheus_client import CollectorRegistry

from assembler.frames_hub import FramesHub
from shared.contracts.messages import SplitCompleted
from shared.hubs import publisher
from shared.hubs.publisher import Publisher
from shared.hubs.reach import Reach
from shared.service.checkpoints import HubPositions

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


def grow(folder: Path, **partitions: int) -> None:
    """Give hubs of a stopped broker more partitions; they were created when they were."""
    listed = folder / "hubs" / "hubs.json"
    stored = json.loads(listed.read_text())
    hubs = stored["hubs"]
    grown = [{**hub, "partitions": partitions.get(hub["name"], hub["partitions"])} for hub in hubs]
    # As a person may write it: without a checksum
    listed.write_text(json.dumps({"version": stored["version"], "hubs": grown}))


async def test_partitions_that_a_hub_is_given_are_read_without_a_restart(
    storage_connection: str, tmp_path: Path
) -> None:
    port = unused_port()
    async with (
        BlobServiceClient.from_connection_string(storage_connection) as blobs,
        contextlib.AsyncExitStack() as reading,
    ):
        async with broker(tmp_path, port, {HUB: 1}) as connection:
            reader = await reader_of(storage_connection, connection, blobs)
            await send(reader, "0", 1, 2)
            await reading.enter_async_context(reader.reading(patience_s=2))
            first, *_ = await reader.until(2)
            first.done()
            await reader.checkpoint_is(lambda found: found.get("0") == 0)
        reader.taken.clear()
        grow(tmp_path, **{HUB: 3})
        async with broker(tmp_path, port, {HUB: 3}):
            await send(reader, "2", 3)
            # What is finished is not read again, and what is not comes again, maybe repeatedly
            wanted = {("0", 1), ("2", 0)}
            await reader.until_all(wanted)
            await reading.aclose()
    assert {(each.partition_id, each.sequence_number) for each in reader.taken} == wanted


@pytest.mark.slow
async def test_the_hub_of_frames_may_grow_while_a_job_is_looked_into(
    storage_connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, port, reach = uuid.uuid4().hex[:24], unused_port(), FramesHub.reach
    looked, grown = asyncio.Event(), asyncio.Event()

    async def held_back(hub: FramesHub) -> Reach:
        found = await reach(hub)
        looked.set()
        await grown.wait()
        return found

    monkeypatch.setattr(FramesHub, "reach", held_back)
    monkeypatch.setattr(publisher, "KNOWN_S", 0.0)
    async with contextlib.AsyncExitStack() as new, contextlib.AsyncExitStack() as old:
        small, large = {**HUBS, "frames": 1}, {**HUBS, "frames": 3}
        connection = await old.enter_async_context(broker(tmp_path, port, small))
        async with running(storage_connection, connection, redrive_after_s=0.3) as bench:
            await seal(bench, job, 3)
            await bench.hub.by_job(SplitCompleted(job_id=job, chunks=3, frames=24))
            await looked.wait()
            await old.aclose()
            grow(tmp_path, frames=3)
            await new.enter_async_context(broker(tmp_path, port, large))
            grown.set()
            # What nobody has any more is sent again, whichever partitions there are
            reminder = Reminder(bench.hub.by_job)
            painting = asyncio.create_task(lose_chunks(bench, reminder))
            await bench.ended(job)
            painting.cancel()
            await asyncio.gather(painting, return_exceptions=True)
    assert set(reminder.of(job)) == {0, 1, 2}
    failures = bench.metrics.get_sample_value(
        "assembler_background_failures_total", {"errand": "jobs"}
    )
    assert failures == 0


def _film_that_moves(folder: Path, before: int, after: int) -> Film:
    """Return a film whose job's events go to another partition once there are more."""
    while True:
        film = Film(folder)
        key = crc32(film.job_id.encode())
        if key % before != key % after:
            return film


@pytest.mark.slow
async def test_a_job_whose_events_move_to_another_partition_ends_with_nothing_lost(
    storage_connection: str, tmp_path: Path
) -> None:
    film, port = _film_that_moves(tmp_path, 1, 2), unused_port()
    async with contextlib.AsyncExitStack() as new, contextlib.AsyncExitStack() as old:
        small, large = {**HUBS, "segments": 1}, {**HUBS, "segments": 2}
        connection = await old.enter_async_context(broker(tmp_path, port, small))
        settings = {"redrive_after_s": 1.0, "consumer_patience_s": 4.1}
        async with running(storage_connection, connection, **settings) as bench:
            await bench.hub.by_job(started(film.job_id))
            await film.store_split(bench.blobs, bench.settings.frames_container)
            await announce(bench, film, 0)
            await bench.record(film.job_id, lambda status: status.chunks_stylized == 1)
            await old.aclose()
            grow(tmp_path, segments=2)
            await new.enter_async_context(broker(tmp_path, port, large))
            other = CollectorRegistry()
            async with assembling(bench.settings, other):
                await bench.until(lambda: _owned(bench, [1, 1], bench.metrics, other))
                split = SplitCompleted(job_id=film.job_id, chunks=CHUNKS, frames=4 * CHUNKS)
                await bench.hub.by_job(split)
                await announce(bench, film, *range(1, CHUNKS))
                status = await bench.ended(film.job_id)
                # Both of them have a part of its events, and are done with all of these
                positions = HubPositions(bench.blobs, bench.settings, "segments")
                await bench.until(lambda: _all_done(bench.hub, positions))
            result = await bench.blobs.read(bench.settings.results_container, status.result or "")
            frames, segments = bench.settings.frames_container, bench.settings.segments_container
            left = [
                name
                for container in (frames, segments)
                async for name in bench.blobs.names(container, film.job_id)
            ]
    assert (status.state, status.error, status.warnings) == ("done", None, ())
    assert sum(_ended(metrics) for metrics in (bench.metrics, other)) == 1
    assert result == film.made(tmp_path)
    assert not left


async def announce(bench: Bench, film: Film, *chunks: int) -> None:
    """Announce segments of a film that are stored."""
    await film.store(bench.blobs, bench.settings.segments_container, *chunks)
    for chunk in chunks:
        await bench.hub.by_job(film.ready(chunk))


async def _owned(bench: Bench, wanted: list[int], *registries: CollectorRegistry) -> bool:
    hub, name = {"hub": bench.settings.segments_hub}, "assembler_owned_partitions"
    return [metrics.get_sample_value(name, hub) for metrics in registries] == wanted


def _ended(metrics: CollectorRegistry) -> float:
    return metrics.get_sample_value("assembler_jobs_total", {"outcome": "done"}) or 0


async def _all_done(hub: Publisher, positions: HubPositions) -> bool:
    reach = await Reach.look_up(hub, positions)
    return reach.finished == reach.newest
