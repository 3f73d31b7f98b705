"""Ten thousand open jobs: each round over them is short, and examines different ones."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from assembler_bench import started
from azurites import port_of
from prometheus_client import CollectorRegistry

from assembler import rounds
from assembler.frames_hub import FramesHub
from assembler.job import Job, first_record
from assembler.metrics import AssemblerMetrics
from assembler.records import Records
from assembler.rounds import Rounds
from assembler.settings import AssemblerSettings
from assembler.stalls import HubProgress, Stalls
from chaos.storage_proxy import REFUSALS, StorageProxy
from local import azurite
from shared.contracts.messages import EventPlace, SegmentReady
from shared.storage import retry
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

pytestmark = pytest.mark.asyncio(loop_scope="session")
JOBS = 10_000
PARTITIONS = 4
PROMISED_S = 5.0
HUBS = "Endpoint=sb://localhost;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true"


class Clock:
    """The time that jobs go by."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Looking(Stalls):
    """Notes which jobs were looked into, and how many at each look at the hubs."""

    looked: list[str]
    at_once: list[int]

    async def hub_progress(self, jobs: list[Job]) -> HubProgress:
        self.at_once += filter(None, [len(jobs)])
        return await super().hub_progress(jobs)

    async def examine(self, job: Job, hubs: HubProgress) -> None:
        self.looked.append(job.job_id)
        await super().examine(job, hubs)


async def nobody_knows(_: str | None) -> bool:
    return False


@asynccontextmanager
async def looked_after(storage: str) -> AsyncIterator[tuple[Rounds, Looking, Records]]:
    """What looks after jobs, with containers of its own."""
    name = uuid.uuid4().hex[:8]
    settings = AssemblerSettings(
        storage_connection_string=storage,  # type: ignore[arg-type]
        eventhub_connection_string=HUBS,  # type: ignore[arg-type]
        jobs_container=f"j{name}",
        frames_container=f"f{name}",
        uploads_checkpoints_container=f"c{name}",
    )
    async with storage_client(storage, None, None) as client:
        for container in (
            settings.jobs_container,
            settings.frames_container,
            settings.uploads_checkpoints_container,
        ):
            await client.create_container(container)
        blobs = BlobStore(client)
        metrics = AssemblerMetrics(CollectorRegistry())
        kinds = settings.jobs_container, settings.results_container, settings.frames_container
        records = Records(blobs, *kinds, redrives=3)
        frames = FramesHub(settings, blobs, None)  # type: ignore[arg-type]
        stalls = Looking(settings, blobs, frames, nobody_knows, metrics)
        stalls.looked, stalls.at_once = [], []
        yield Rounds(settings, records, stalls, metrics), stalls, records


async def open_jobs(count: int, records: Records, clock: Clock) -> list[Job]:
    """Open jobs that have a record, and whose uploads wait for a splitter."""
    jobs, room = [], asyncio.Semaphore(32)
    for number in range(count):
        place = EventPlace(
            partition_id=str(number % PARTITIONS), sequence_number=number, at=datetime.now(UTC)
        )
        event = started(f"{number:024x}")
        event = event.model_copy(update={"queued": True, "upload_event": place})
        jobs.append(Job(first_record(event), None, 3, clock))
        jobs[-1].start(event)

    async def save(job: Job) -> None:
        async with room:
            await records.save(job)

    await asyncio.gather(*map(save, jobs))
    return jobs


async def test_a_round_that_takes_too_long_continues_in_the_next(
    storage_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_ERRAND_S", 0.0)
    async with looked_after(storage_connection) as (rounds_, stalls, records):
        clock = Clock()
        jobs = await open_jobs(100, records, clock)
        await rounds_.run(jobs)
        assert stalls.looked == []  # nothing has been idle for long
        for _ in range(8):
            clock.now_s += 60
            await rounds_.run(jobs)
    # Each of the workers takes up one, then time is over
    assert len(stalls.looked) < 2 * len(jobs)
    assert len(set(stalls.looked)) == len(jobs)


async def test_idle_jobs_are_looked_into_together_because_hubs_answer_few_questions(
    storage_connection: str,
) -> None:
    async with looked_after(storage_connection) as (rounds_, stalls, records):
        clock = Clock()
        jobs = await open_jobs(10, records, clock)
        for job in jobs:  # each at another time
            clock.now_s += 3
            job.ran("examine")
        for _ in range(20):
            clock.now_s += 3
            await rounds_.run(jobs)
    looks = Counter(stalls.looked)
    assert len(looks) == len(jobs)
    assert min(looks.values()) >= 2
    assert len(stalls.at_once) <= 8


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_round_over_ten_thousand_open_jobs_is_short_and_each_has_others(
    storage_connection: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with looked_after(storage_connection) as (rounds_, stalls, records):
        clock = Clock()
        jobs = await open_jobs(JOBS, records, clock)
        spans = []
        for _ in range(6):
            clock.now_s += 60
            looked = len(stalls.looked)
            began, worked = time.monotonic(), time.process_time()
            await rounds_.run(jobs)
            spans.append(
                (
                    time.monotonic() - began,
                    time.process_time() - worked,
                    len(stalls.looked) - looked,
                )
            )
    with capsys.disabled():
        figures = ", ".join(
            f"{wall:.1f} s ({work:.1f} s of processor time, {jobs} looked into)"
            for wall, work, jobs in spans
        )
        print(f"\nrounds over {JOBS} jobs: {figures}")
    # Storage of tests shares this machine, and so may others: one round may be unlucky
    assert sorted(wall for wall, _, _ in spans)[len(spans) // 2] < PROMISED_S
    assert len(set(stalls.looked)) == len(stalls.looked)


@pytest.mark.parametrize("persists", [False, True])
async def test_a_refusal_of_storage_fails_a_job_only_if_it_persists(
    storage_connection: str, monkeypatch: pytest.MonkeyPatch, *, persists: bool
) -> None:
    monkeypatch.setattr(retry, "DOUBT_S", 2.0)
    monkeypatch.setitem(REFUSALS, "400", "SomethingNew")
    port = port_of(storage_connection)
    async with (
        StorageProxy(lambda: port, lambda _: None) as proxy,
        looked_after(azurite.connection_string(proxy.port)) as (rounds, _, records),
    ):
        job = records.new(first_record(started(uuid.uuid4().hex[:24])))
        assert await records.begin(job)
        job.announce(SegmentReady(job_id=job.job_id, chunk=0, frames=8))
        proxy.refusing = "400"
        if not persists:
            asyncio.get_running_loop().call_later(0.5, setattr, proxy, "refusing", None)
        await rounds.save([job])
    assert job.unsaved == persists
    assert job.status.state == ("failed" if persists else "splitting")
