"""An event that cannot be stored as a dead letter is neither lost nor silently skipped."""

from __future__ import annotations

import asyncio
import base64
import uuid
from pathlib import Path
from typing import Any, Literal

import pytest
from assembler_bench import assembling, prepared, running, started
from azure.eventhub import EventData
from azure.eventhub.aio import PartitionContext
from prometheus_client import CollectorRegistry

from assembler.metrics import AssemblerMetrics
from assembler.service import build
from client import Letters
from shared.contracts.errors import PermanentError
from shared.contracts.messages import ChunkFailed, Message, SegmentReady
from shared.hubs import dead_lettering as module
from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.dead_letters import DeadLetter, DeadLetters
from shared.hubs.delivery import Delivery, OwnedPartition
from shared.hubs.workers import Workers
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.settings import ServiceSettings
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from splitter.metrics import SplitterMetrics

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]
REFUSED = "Storage never takes such a name"
MISSING = "there-is-no-such-container"
LETTERS = 10


class JobPostponed(Message):
    """An event that only a newer release knows."""

    type: Literal["JobPostponed"] = "JobPostponed"


def partition() -> OwnedPartition:
    return OwnedPartition(PartitionContext("hubs", "frames", "group", "0", None))


async def fail(_: Delivery) -> None:
    raise ValueError("foreign")


@pytest.mark.parametrize("into", [REFUSED, MISSING])
async def test_a_dead_letter_that_cannot_be_stored_is_retried_until_it_can(
    storage_connection: str, monkeypatch: pytest.MonkeyPatch, into: str
) -> None:
    monkeypatch.setattr(module, "RETRY_INTERVAL_S", 0.05)
    health, owned, refused = Health(), partition(), asyncio.Event()
    health.serving = True

    def report(dependency: str, problem: str | None) -> None:
        health.report(dependency, problem)
        (refused.set if problem else refused.clear)()

    async with storage_client(storage_connection, None, None) as client:
        container = f"t{uuid.uuid4().hex[:8]}"
        await client.create_container(container)
        letters = DeadLetters(BlobStore(client), into, "frames")
        metrics = SplitterMetrics(CollectorRegistry())
        workers = Workers(1, fail, DeadLettering(letters, metrics, report), metrics)
        await workers.take(owned.delivery(EventData(b"foreign")))
        await refused.wait()
        assert "dead letters" in health.ready[1]
        assert (health.ready[0], owned.watermark.unfinished) == (False, 1)

        letters._container = container
        await workers.finish()
        assert [name async for name in BlobStore(client).names(container, "frames/0/0-")]
    assert (health.ready[0], owned.watermark.unfinished) == (True, 0)


async def test_an_event_of_a_recreated_hub_is_stored_beside_one_of_the_same_place_in_the_earlier(
    storage_connection: str,
) -> None:
    async with storage_client(storage_connection, None, None) as client:
        container, blobs = f"t{uuid.uuid4().hex[:8]}", BlobStore(client)
        await client.create_container(container)
        letters = DeadLetters(blobs, container, "frames")
        for body in (b"of the earlier hub", b"of the new hub", b"of the new hub"):
            await letters.store(partition().delivery(EventData(body)), ValueError("foreign"))
        names = [name async for name in blobs.names(container)]
        found = [DeadLetter.model_validate_json(await blobs.read(container, n)) for n in names]
    assert {letter.body for letter in found} == {b"of the earlier hub", b"of the new hub"}
    assert len(found) == 2


@pytest.mark.parametrize("into", [REFUSED, MISSING])
async def test_a_service_that_drains_leaves_such_an_event_to_the_next(
    storage_connection: str, into: str
) -> None:
    owned, refused = partition(), asyncio.Event()

    def report(_: str, problem: str | None) -> None:
        if problem:
            refused.set()

    async with storage_client(storage_connection, None, None) as client:
        letters = DeadLetters(BlobStore(client), into, "frames")
        metrics = SplitterMetrics(CollectorRegistry())
        workers = Workers(1, fail, DeadLettering(letters, metrics, report), metrics)
        await workers.take(owned.delivery(EventData(b"foreign")))
        await refused.wait()
        workers.drain()
        await workers.finish()
    assert owned.watermark.unfinished == 1


async def test_such_an_event_holds_up_no_other_of_its_partition_in_the_assembler(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_INTERVAL_S", 0.05)
    store, heals = DeadLetters.store, asyncio.Event()

    async def refuse(self: DeadLetters, *event: Any) -> None:
        if not heals.is_set():
            raise PermanentError("STORAGE_REFUSED", "no letter is taken")
        await store(self, *event)

    monkeypatch.setattr(DeadLetters, "store", refuse)
    async with running(storage_connection, eventhub_connection) as bench:
        job = uuid.uuid4().hex[:24]
        # Given an event that nobody can understand, in front of a job's
        orphan = SegmentReady(job_id=job, chunk=1, frames=8)
        await bench.hub.by_job(orphan)
        await bench.until(lambda: _is("dead letters" in bench.health.ready[1]))
        # Then the job goes its way
        await bench.hub.by_job(started(job))
        await bench.hub.by_job(ChunkFailed(job_id=job, chunk=0, code="X", message="x"))
        await bench.ended(job)
        # And the event is laid aside as soon as that is possible
        heals.set()

        async def dead_lettered() -> bool:
            letters = await bench.dead_letters()
            return orphan.to_json() in [base64.b64decode(each["body_base64"]) for each in letters]

        await bench.until(dead_lettered)
        await bench.until(lambda: _is("dead letters" not in bench.health.ready[1]))


@pytest.mark.parametrize("reader", ["workers", "assembler"])
async def test_a_flood_of_dead_letters_stops_the_reading_before_it_fills_the_memory(
    reader: str,
    storage_connection: str,
    eventhub_connection: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 3 * module.EACH_BYTES)
    owned, metrics = partition(), AssemblerMetrics(CollectorRegistry())
    taken: list[Delivery] = []
    waiting: list[int] = []
    async with prepared(storage_connection, eventhub_connection) as bench:
        letters = DeadLetters(bench.blobs, bench.settings.dead_letters_container, "segments")
        workers = Workers(1, fail, DeadLettering(letters, metrics, bench.health.report), metrics)
        async with AzureClients(bench.settings) as clients:
            service = await build(bench.settings, clients, metrics, bench.health)
            take = {"workers": workers.take, "assembler": service.consumer._handler}[reader]
            for _ in range(20):
                taken.append(owned.delivery(EventData(b"foreign")))
                await take(taken[-1])
                # Not the watermark's: that counts finished ones behind an unfinished one, too
                waiting.append(sum(not each.receipt.finished for each in taken))
            await workers.finish()
            await service.finish()
        assert len(await bench.dead_letters()) == 1
    assert owned.watermark.unfinished == 0
    assert max(waiting) <= 4


async def test_an_assembler_that_drains_does_not_wait_for_such_an_event(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise PermanentError("STORAGE_REFUSED", "no letter is taken")

    monkeypatch.setattr(DeadLetters, "store", refuse)
    # Leaving lets the assembler finish what it has in hand
    async with running(storage_connection, eventhub_connection) as bench:
        await bench.hub.by_job(SegmentReady(job_id=uuid.uuid4().hex[:24], chunk=1, frames=8))
        await bench.until(lambda: _is("dead letters" in bench.health.ready[1]))


async def test_an_event_of_a_newer_release_waits_for_one_and_then_becomes_a_dead_letter(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = uuid.uuid4().hex[:24]
    async with prepared(storage_connection, eventhub_connection) as bench:

        async def letters() -> list[tuple[str, bytes]]:
            found = await bench.dead_letters()
            each = [(one["code"], base64.b64decode(one["body_base64"])) for one in found]
            return [(code, body) for code, body in each if job.encode() in body]

        # Given an assembler that gets an event which a newer one has sent
        async with assembling(bench.settings, CollectorRegistry()):
            await bench.hub.by_job(started(job))
            await bench.hub.by_job(JobPostponed(job_id=job))
            # Then the job's other events go their way
            await bench.hub.by_job(ChunkFailed(job_id=job, chunk=0, code="X", message="x"))
            await bench.ended(job)
        # And it is left to the next assembler, as long as that may be a newer one
        assert await letters() == []
        monkeypatch.setattr(module, "NEWER_RELEASE_GRACE_S", 0.1)
        async with assembling(bench.settings, CollectorRegistry()):
            await bench.until(letters)
        assert await letters() == [("NEWER_MESSAGE", JobPostponed(job_id=job).to_json())]


async def _is(truth: bool) -> bool:
    return truth


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_many_letters_are_sent_again_over_one_connection_per_hub(
    storage_connection: str, eventhub_connection: str
) -> None:
    container = f"t{uuid.uuid4().hex[:8]}"
    settings = ServiceSettings(
        storage_connection_string=storage_connection,
        eventhub_connection_string=eventhub_connection,
        dead_letters_container=container,
    )
    async with AzureClients(settings) as clients:
        blobs = BlobStore(await clients.storage())
        await (await clients.blobs()).create_container(container)
        stored = DeadLetters(blobs, container, "frames")
        for number in range(LETTERS):
            body = f"event {number}".encode()
            await stored.store(partition().delivery(EventData(body)), ValueError("foreign"))
        letters = Letters(settings, clients, blobs)
        found = [letter async for letter in letters.all()]
        before = open_files()
        for letter in found:
            await letters.redrive(letter)
        opened = open_files() - before
        assert [letter async for letter in letters.all()] == []
    assert len(found) == LETTERS
    # Both ends of a connection are in this process, and so are the broker's files.
    assert opened < LETTERS
