"""Jobs with lost events: found, sent again, and finally failed with the chunks named."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from assembler_bench import (
    DEADLINE_S,
    Bench,
    Loser,
    lose_chunks,
    running,
    seal,
    send_chunks,
    started,
)
from structlog.testing import capture_logs

from assembler.job import Job
from assembler.loop import Assembler
from assembler.stalls import HubProgress, Stalls
from shared.contracts.layout import manifest_blob
from shared.contracts.messages import (
    AnyMessage,
    ChunkFailed,
    EventPlace,
    SegmentReady,
    SplitCompleted,
)
from shared.contracts.status import Status
from shared.hubs.consumer import Consumer
from shared.hubs.positions import HUB_MADE
from shared.service.checkpoints import checkpoint_blob

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKS = 10
"""So many looks take several times as long as any stall here may last."""


class Looks:
    """How often jobs were looked into."""

    def __init__(self) -> None:
        self._count = 0
        self._more = asyncio.Condition()

    async def note(self) -> None:
        async with self._more:
            self._count += 1
            self._more.notify_all()

    async def more(self, count: int = LOOKS) -> None:
        """Wait for so many further looks."""
        async with asyncio.timeout(DEADLINE_S), self._more:
            wanted = self._count + count
            await self._more.wait_for(lambda: self._count >= wanted)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    looks, examine = Looks(), Stalls.examine

    async def counted(stalls: Stalls, job: Job, hubs: HubProgress) -> None:
        await examine(stalls, job, hubs)
        await looks.note()

    monkeypatch.setattr(Stalls, "examine", counted)
    return looks


async def test_lost_chunks_are_sent_again_a_few_times_and_then_fail_the_job_by_name(
    storage_connection: str, eventhub_connection: str
) -> None:
    job, loser = uuid.uuid4().hex[:24], Loser()
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.3, redrives=2
    ) as bench:
        losing = asyncio.create_task(lose_chunks(bench, loser))
        await bench.hub.by_job(started(job))
        # Missing are two that go to one of the hub's four partitions. The others are known before
        # the manifest is, without which no chunk is missed.
        for chunk in (1, 2, 3):
            await bench.hub.by_job(SegmentReady(job_id=job, chunk=chunk, frames=8))
        await bench.record(job, lambda status: status.chunks_stylized == 3)
        sealed = await seal(bench, job, 5)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=5, frames=40))
        status = await bench.ended(job)
        losing.cancel()
        await asyncio.gather(losing, return_exceptions=True)
    assert status.error
    assert status.error.code == "STALLED"
    assert "0, 4" in status.error.message
    assert sorted(loser.of(job)) == [0, 0, 4, 4]
    again = [event.chunk for event in loser.taken if event.job_id == job]
    assert all(chunk == sealed.chunks[chunk.index] for chunk in again)
    assert bench.metrics.get_sample_value("assembler_redriven_chunks_total") == 4


async def test_a_split_whose_end_was_not_announced_is_found_by_its_manifest(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.2) as bench:
        await seal(bench, job, 2)
        await bench.record(job, lambda status: status.chunks == 2)


def waits_for_a_stylizer(status: Status) -> bool:
    return status.waiting is not None and status.waiting.reason == "a stylizer"


async def test_unread_chunks_are_waited_for_and_the_record_says_so(
    storage_connection: str, eventhub_connection: str, looks: Looks
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.2, stall_timeout_s=0.5
    ) as bench:
        await send_chunks(bench, job, 4)
        await seal(bench, job, 4)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=4, frames=32))
        await bench.record(job, waits_for_a_stylizer)
        # Looked into for many times the timeout, with a stylizer nowhere
        for _ in range(LOOKS):
            await looks.more(1)
            status = await bench.look(job)
            assert status is not None
            assert status.state == "stylizing"
            assert waits_for_a_stylizer(status)
            since = status.waiting.since if status.waiting else ""
        # A segment is progress: from then on it waits anew
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))

        def waits_anew(status: Status) -> bool:
            waiting = status.waiting
            return status.chunks_stylized == 1 and waiting is not None and waiting.since > since

        await bench.record(job, waits_anew)


async def test_an_upload_that_waits_for_a_splitter_is_waited_for(
    storage_connection: str, eventhub_connection: str, looks: Looks
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.1, stall_timeout_s=0.3
    ) as bench:
        # Its event is the next of the hub of uploads, and the splitters have not come to it
        place = EventPlace(partition_id="0", sequence_number=10_000, at=datetime.now(UTC))
        await bench.hub.by_job(
            started(job).model_copy(update={"queued": True, "upload_event": place})
        )
        await bench.record(job, lambda status: status.waiting)
        await looks.more()
        status = await bench.look(job)
        assert status is not None
        assert status.state == "queued"
        assert status.waiting
        assert status.waiting.reason == "a splitter"
        # When its split begins, the record says so
        await bench.hub.by_job(started(job))
        await bench.record(job, lambda status: status.state == "splitting")


async def note_splitters(bench: Bench, reached: int, hub_made: datetime | None = None) -> None:
    """Store how far the splitters have come in the hub of uploads, and when that was created."""
    uploads, place = bench.settings.uploads_hub, str(reached)
    made = {HUB_MADE: hub_made.isoformat()} if hub_made else {}
    await bench.blobs.create(
        bench.settings.checkpoints_container(uploads),
        checkpoint_blob(bench.settings, uploads, "0"),
        b"",
        metadata={"offset": place, "sequencenumber": place, **made},
    )


async def test_a_split_that_left_nothing_fails_once_its_event_is_done(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.2, stall_timeout_s=1
    ) as bench:
        place = EventPlace(partition_id="0", sequence_number=4, at=datetime.now(UTC))
        await note_splitters(bench, 4)
        await bench.hub.by_job(started(job).model_copy(update={"upload_event": place}))
        status = await bench.ended(job)
    assert status.error
    assert status.error.code == "STALLED"
    assert "the upload's event was completed, but its split did not end" in status.error.message


async def test_a_job_whose_upload_event_went_with_an_earlier_hub_fails_in_the_end(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.2, stall_timeout_s=1
    ) as bench:
        # The hub of uploads was made anew since, and its positions were put right
        await note_splitters(bench, -1, hub_made=datetime.now(UTC) + timedelta(minutes=5))
        place = EventPlace(partition_id="0", sequence_number=4, at=datetime.now(UTC))
        await bench.hub.by_job(started(job).model_copy(update={"upload_event": place}))
        status = await bench.ended(job)
    assert status.error
    assert status.error.code == "STALLED"


def waits_in_the_new_hub(status: Status) -> bool:
    place = status.upload_event
    return status.waiting is not None and place is not None and place.sequence_number == 0


async def test_an_upload_that_was_announced_again_in_a_recreated_hub_is_waited_for(
    storage_connection: str, eventhub_connection: str, looks: Looks
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.1, stall_timeout_s=0.3
    ) as bench:
        now = datetime.now(UTC)
        for sequence_number, minutes in ((4, 0), (0, 10)):
            place = EventPlace(
                partition_id="0",
                sequence_number=sequence_number,
                at=now + timedelta(minutes=minutes),
            )
            queued = {"queued": True, "upload_event": place}
            await bench.hub.by_job(started(job).model_copy(update=queued))
        await bench.record(job, waits_in_the_new_hub)
        await note_splitters(bench, -1, hub_made=now + timedelta(minutes=5))
        await looks.more()
        status = await bench.look(job)
        assert status is not None
        assert status.state == "queued"


async def test_a_segment_whose_announcement_is_unread_is_not_lost(
    storage_connection: str,
    eventhub_connection: str,
    looks: Looks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, heard, apply = uuid.uuid4().hex[:24], asyncio.Event(), Assembler._apply

    async def slow_to_hear(assembler: Assembler, event: AnyMessage, of: Job) -> None:
        if isinstance(event, SegmentReady):
            await heard.wait()
        await apply(assembler, event, of)

    monkeypatch.setattr(Assembler, "_apply", slow_to_hear)
    async with running(
        storage_connection, eventhub_connection, redrive_after_s=0.2, redrives=0
    ) as bench:
        await bench.hub.by_job(started(job))
        for chunk in (0, 1):
            await bench.hub.by_job(SegmentReady(job_id=job, chunk=chunk, frames=8))
        await seal(bench, job, 2)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=2, frames=16))
        await bench.record(job, waits_for_a_stylizer)
        await looks.more(5)
        heard.set()
        status = await bench.ended(job)
    # Complete, and nothing of it in storage: that is another failure than chunks that are lost
    assert status.error
    assert status.error.code == "SEGMENT_MISSING"


async def test_nothing_is_sent_again_for_a_job_that_ends_while_it_is_examined(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, loser, ask = uuid.uuid4().hex[:24], Loser(), Consumer.caught_up
    looked = asyncio.Event()

    async def end_first(self: Consumer, partition_id: str | None) -> bool:
        failed = ChunkFailed(job_id=job, chunk=0, code="CHUNK_POISONED", message="it hung")
        await bench.hub.by_job(failed)
        await bench.ended(job)
        try:
            return await ask(self, partition_id)
        finally:
            looked.set()

    monkeypatch.setattr(Consumer, "caught_up", end_first)
    with capture_logs() as said:
        async with running(storage_connection, eventhub_connection, redrive_after_s=0.3) as bench:
            losing = asyncio.create_task(lose_chunks(bench, loser))
            await seal(bench, job, 3)
            await bench.hub.by_job(SplitCompleted(job_id=job, chunks=3, frames=24))
            async with asyncio.timeout(60):
                await looked.wait()
            losing.cancel()
            await asyncio.gather(losing, return_exceptions=True)
    # Leaving has ended the round in hand.
    assert "chunks sent again" not in {entry["event"] for entry in said}


async def test_a_result_that_ended_its_assemblers_is_given_up_with_a_dead_letter(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    async with running(
        storage_connection, eventhub_connection, assembly_attempts=2, keep_intermediates=True
    ) as bench:
        frames, name = bench.settings.frames_container, manifest_blob(job)
        await seal(bench, job, 1)
        facts = await bench.blobs.facts(frames, name)
        assert facts
        # Two assemblers have begun with it, and were heard of no more
        begun = {**facts.metadata, "assemblies": "2"}
        await bench.blobs.annotate(frames, name, begun, etag=facts.etag)
        await bench.hub.by_job(SplitCompleted(job_id=job, chunks=1, frames=8))
        await bench.hub.by_job(SegmentReady(job_id=job, chunk=0, frames=8))
        status = await bench.ended(job)
        assert status.error
        assert status.error.code == "ASSEMBLY_POISONED"

        async def dead_lettered() -> bool:
            return "ASSEMBLY_POISONED" in [letter["code"] for letter in await bench.dead_letters()]

        await bench.until(dead_lettered)
