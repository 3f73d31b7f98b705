"""Jobs whose events were lost on the way: found, sent again, and in the end failed by name."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid

import pytest
from contract.test_services import Bench, running, started
from manifests import manifest
from prometheus_client import CollectorRegistry

from assembler.frames_hub import FramesHub
from assembler.redrive import Reach
from shared.contracts.errors import TransientError
from shared.contracts.layout import manifest_blob
from shared.contracts.messages import ChunkReady, SegmentReady, SplitCompleted, decode
from shared.hubs.consumer import Consumer
from shared.hubs.delivery import Delivery
from shared.service.checkpoints import HubPositions
from shared.service.clients import AzureClients
from shared.telemetry.metrics import WorkMetrics

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Loser:
    """A stylizer that takes chunks up and loses them: done, and never a segment."""

    def __init__(self) -> None:
        self.taken: list[ChunkReady] = []

    async def take(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        if isinstance(event, ChunkReady):
            self.taken.append(event)
        delivery.done()

    def of(self, job: str) -> list[int]:
        return [event.chunk.index for event in self.taken if event.job_id == job]


async def lose_chunks(bench: Bench, loser: Loser) -> None:
    async with AzureClients(bench.settings) as clients:
        consumer = Consumer(
            functools.partial(clients.consumer, bench.settings.frames_hub),
            HubPositions(bench.blobs, bench.settings, bench.settings.frames_hub),
            loser.take,
            checkpoint_interval_s=0.05,
            patience_s=60,
            metrics=WorkMetrics(CollectorRegistry(), "loser").reading("frames"),
            on_hopeless=print,
        )
        await consumer.run()


async def seal(bench: Bench, job: str, chunks: int) -> None:
    await bench.hub.by_job(started(job))
    sealed = manifest(job, [8] * chunks)
    await bench.blobs.create(bench.settings.jobs_container, manifest_blob(job), sealed.to_json())


async def test_lost_chunks_are_sent_again_a_few_times_and_then_fail_the_job_by_name(
    storage_connection: str, eventhub_connection: str
) -> None:
    job, loser = uuid.uuid4().hex[:24], Loser()
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.3, redrives=2
    ) as bench:
        losing = asyncio.create_task(lose_chunks(bench, loser))
        await seal(bench, job, 5)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=5, frames=40))
        # Missing are two that go to one of the hub's four partitions
        for chunk in (1, 2, 3):
            await bench.hub.by_job(SegmentReady(job_id=job, chunk=chunk, frames=8))
        status = await bench.ended(job)
        losing.cancel()
        await asyncio.gather(losing, return_exceptions=True)
    assert status.error
    assert status.error.code == "STALLED"
    assert "0, 4" in status.error.message
    assert sorted(loser.of(job)) == [0, 0, 4, 4]
    assert bench.metrics.get_sample_value("assembler_redriven_chunks_total") == 4


async def test_a_job_that_nobody_paints_yet_is_neither_resent_nor_failed(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.2, redrives=1
    ) as bench:
        sealed = manifest(job, [8])
        async with AzureClients(bench.settings) as clients:
            frames = await clients.publisher(bench.settings.frames_hub)
            for partition in await frames.partitions():
                event = ChunkReady.of(job, sealed.source, sealed.style, sealed.chunks[0])
                await frames.to_partition(event, partition)
        await seal(bench, job, 1)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=1, frames=8))

        async def stylizing() -> bool:
            status = await bench.look(job)
            return status is not None and status.state == "stylizing"

        await bench.until(stylizing)
        # Looked into again and again, with a stylizer nowhere
        for _ in range(10):
            await asyncio.sleep(0.2)
            assert await stylizing()
    assert not bench.metrics.get_sample_value("assembler_redriven_chunks_total")


async def test_a_split_whose_end_was_not_announced_is_found_by_its_manifest(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.2) as bench:
        await seal(bench, job, 2)

        async def sealed() -> bool:
            status = await bench.look(job)
            return status is not None and status.chunks == 2

        await bench.until(sealed)


async def test_time_in_which_nobody_could_look_is_no_standstill(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, reach, looked = uuid.uuid4().hex[:24], FramesHub.reach, asyncio.Event()
    back_at = 0.0

    async def away_for_a_while(hub: FramesHub) -> Reach:
        if time.monotonic() < back_at:
            raise TransientError("the hub is away")
        looked.set()
        return await reach(hub)

    monkeypatch.setattr(FramesHub, "reach", away_for_a_while)
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.2, stall_timeout_s=1.5
    ) as bench:
        await seal(bench, job, 2)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=2, frames=16))
        await looked.wait()
        back_at = time.monotonic() + 3
        status = await bench.ended(job)
        waited_s = time.monotonic() - back_at
    assert status.error
    assert status.error.code == "STALLED"
    assert waited_s > 1, "it must be looked at for long enough after the outage"
