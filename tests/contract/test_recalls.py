"""Open jobs that no assembler follows, because their events in the hub of segments were lost."""

from __future__ import annotations

import asyncio
import json
import uuid
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from assembler_bench import Bench, Loser, assembling, lose_chunks, prepared, running, seal, started
from azure.storage.blob import StandardBlobTier
from manifests import manifest, store_whole
from ports import unused_port
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from assembler.job import first_record
from assembler.recalls import Recalls
from assembler.segments_hub import SegmentsHub
from local.eventgrid import LocalTopic
from local.workspace import topic_endpoint
from shared.contracts.layout import chunk_blob, opening_blob, status_blob
from shared.contracts.messages import (
    ChunkReady,
    EventPlace,
    JobRecalled,
    SegmentReady,
    SplitCompleted,
    SplitFailed,
    decode,
)
from shared.contracts.status import read_status
from shared.hubs.delivery import Delivery
from shared.service.checkpoints import checkpoint_blob
from shared.service.clients import AzureClients
from shared.storage.accounts import BlobClients
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content

TOPIC_KEY = "c2VjcmV0"

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


class Painter(Loser):
    """A stylizer that announces each chunk of one job that it is sent."""

    def __init__(self, job: str, announce: Callable[[SegmentReady], Awaitable[None]]) -> None:
        super().__init__()
        self._job = job
        self._announce = announce

    async def take(self, delivery: Delivery) -> None:
        event = decode(delivery.body)
        if isinstance(event, ChunkReady) and event.job_id == self._job:
            segment = SegmentReady.of_stored(event.job_id, event.chunk, {})
            await self._announce(segment)
        await super().take(delivery)


async def pass_over(bench: Bench) -> None:
    """Move the assemblers' positions behind all that is in the hub, as somebody's hand does."""
    settings, hub = bench.settings, bench.settings.segments_hub
    async with AzureClients(settings) as clients, await clients.producer(hub) as client:
        for partition in await client.get_partition_ids():
            end = await client.get_partition_properties(partition)
            place = {
                "offset": str(end["last_enqueued_offset"]),
                "sequencenumber": str(end["last_enqueued_sequence_number"]),
            }
            container = settings.checkpoints_container(hub)
            name = checkpoint_blob(settings, hub, partition)
            await bench.blobs.replace(container, name, b"", metadata=place)


def place() -> EventPlace:
    """Return where an upload's event is in the hub of uploads."""
    return EventPlace(partition_id="0", sequence_number=4, at=datetime.now(UTC))


async def begin(bench: Bench, sealed: str, queued: str, upload: EventPlace) -> None:
    """Have an assembler follow two jobs, of one a segment and of one nothing painted, and leave."""
    # It takes nothing for lost, however slowly the test goes on
    patient = bench.settings.model_copy(update={"redrive_after_s": 3600.0})
    async with assembling(patient, CollectorRegistry()):
        told = started(queued).model_copy(update={"queued": True, "upload_event": upload})
        await bench.hub.by_job(told)
        await seal(bench, sealed, 3)
        await bench.hub.by_job(SplitCompleted(job_id=sealed, chunks=3, frames=24))
        await bench.hub.by_job(SegmentReady(job_id=sealed, chunk=0, frames=8))

        async def noted() -> bool:
            status, other = await bench.look(sealed), await bench.look(queued)
            return status is not None and status.chunks_stylized == 1 and other is not None

        await bench.until(noted)


async def test_open_jobs_whose_events_are_lost_are_followed_to_their_end(
    storage_connection: str, eventhub_connection: str
) -> None:
    job, split = uuid.uuid4().hex[:24], uuid.uuid4().hex[:24]
    async with prepared(
        storage_connection, eventhub_connection, redrive_after_s=0.5, stall_timeout_s=1
    ) as bench:
        inside = bench.settings
        await begin(bench, job, split, place())
        await pass_over(bench)
        # Of two segments the news is lost, too; one chunk was never painted
        for chunk in (0, 1):
            await bench.blobs.create(inside.segments_container, chunk_blob(job, chunk), b"painted")
        # The other's chunks were begun, its upload's event is done, and nothing came of it
        await bench.blobs.create(inside.frames_container, chunk_blob(split, 0), b"a chunk")
        await bench.blobs.create(
            inside.checkpoints_container(inside.uploads_hub),
            checkpoint_blob(inside, inside.uploads_hub, "0"),
            b"",
            metadata={"offset": "4", "sequencenumber": "4"},
        )
        painter = Painter(job, bench.hub.by_job)
        async with assembling(inside, CollectorRegistry()):
            painting = asyncio.create_task(lose_chunks(bench, painter))
            ends = [await bench.ended(job), await bench.ended(split)]
            painting.cancel()
            await asyncio.gather(painting, return_exceptions=True)
    # One was complete: what fails is the making of a result from what the test has stored
    codes = [end.error.code for end in ends if end.error]
    assert codes[0] in {"CORRUPT_SEGMENT", "SEGMENT_MISSING"}
    assert codes[1] == "STALLED"
    assert painter.of(job) == [2]


async def cancel(bench: Bench, job: str) -> None:
    """End a job's record, as its user does."""
    container, name = bench.settings.jobs_container, status_blob(job)
    stored = await bench.blobs.fetch(container, name)
    assert stored
    ended = read_status(stored.data).model_copy(update={"state": "cancelled"})
    assert await bench.blobs.replace(container, name, ended.to_json(), etag=stored.etag)


async def left_of(bench: Bench, job: str) -> list[str]:
    """Return the names of a job's chunks, segments and manifest that are in storage."""
    inside = bench.settings
    containers = (inside.frames_container, inside.segments_container)
    return [item.name for c in containers async for item in bench.blobs.items(c, f"{job}/")]


@pytest.mark.parametrize("kept", [False, True])
async def test_nothing_is_left_of_a_cancelled_job_whose_events_are_lost_unless_it_is_to_be_kept(
    storage_connection: str, eventhub_connection: str, *, kept: bool
) -> None:
    job, queued, open_one = (uuid.uuid4().hex[:24] for _ in range(3))
    async with prepared(
        storage_connection, eventhub_connection, redrive_after_s=0.5, keep_intermediates=kept
    ) as bench:
        inside = bench.settings
        await begin(bench, job, queued, place())
        await begin(bench, open_one, queued, place())
        segments = inside.segments_container
        await bench.blobs.create(segments, chunk_blob(job, 0), b"painted")
        for chunk in range(3):
            await bench.blobs.create(segments, chunk_blob(open_one, chunk), b"painted")
        before = await left_of(bench, job)
        assert len(before) > 1
        await cancel(bench, job)
        await pass_over(bench)
        async with assembling(inside, CollectorRegistry()):
            # One that is recalled in any case
            await bench.ended(open_one)
            if not kept:
                await bench.until(lambda: is_gone(bench, job))
        assert await left_of(bench, job) == (before if kept else [])


async def test_an_end_that_is_not_announced_yet_can_still_be_found_in_storage(
    storage_connection: str, eventhub_connection: str
) -> None:
    job, port, told = uuid.uuid4().hex[:24], unused_port(), list[dict[str, Any]]()
    async with running(
        storage_connection,
        eventhub_connection,
        eventgrid_topic_endpoint=topic_endpoint(port),
        eventgrid_topic_key=SecretStr(TOPIC_KEY),
    ) as bench:

        async def tried() -> bool:
            labels = {"state": "failed", "outcome": "put_off"}
            return bool(bench.metrics.get_sample_value("assembler_announcements_total", labels))

        # Given a topic that is away when the job ends
        await seal(bench, job, 3)
        await bench.hub.by_job(started(job))
        await bench.hub.by_job(SplitFailed(job_id=job, code="NOT_A_VIDEO", message="why"))
        await bench.ended(job)
        await bench.until(tried)
        # Then its chunks stay, by which the job is recalled if its events are lost meanwhile
        assert await left_of(bench, job)
        async with LocalTopic(port, TOPIC_KEY, told.append):
            await bench.until(lambda: is_gone(bench, job))
    assert [event["type"] for event in told] == ["Stylestream.VideoFailed"]


async def is_gone(bench: Bench, job: str) -> bool:
    return not await left_of(bench, job)


async def test_a_job_whose_first_events_are_lost_is_opened_from_its_manifest(
    storage_connection: str, eventhub_connection: str
) -> None:
    job, other = uuid.uuid4().hex[:24], uuid.uuid4().hex[:24]
    async with running(storage_connection, eventhub_connection, redrive_after_s=0.5) as bench:
        sealed = manifest(job, [8, 8])
        await store_whole(bench.blobs, bench.settings.frames_container, sealed)
        # Of this one there is nothing at all, and nothing to be done
        await bench.hub.by_job(JobRecalled(job_id=other))
        for chunk in (0, 1):
            await bench.hub.by_job(SegmentReady(job_id=job, chunk=chunk, frames=8))
        status = await bench.ended(job)
        letters = [b64decode(letter["body_base64"]) for letter in await bench.dead_letters()]
        assert await bench.look(other) is None
    assert (status.video_name, status.style) == (sealed.video_name, sealed.style)
    assert status.error
    assert status.error.code == "SEGMENT_MISSING"
    assert not [body for body in letters if job.encode() in body or other.encode() in body]


class Asked(BlobStore):
    """A storage that notes what it is asked for, and whether that is there."""

    def __init__(self, client: BlobClients) -> None:
        super().__init__(client)
        self.found: dict[str, bool] = {}

    async def fetch(self, container: str, name: str) -> Content | None:
        content = await super().fetch(container, name)
        self.found[f"{container}/{name}"] = content is not None
        return content


async def test_jobs_in_hand_are_not_looked_for_in_storage(
    storage_connection: str, eventhub_connection: str
) -> None:
    ours, theirs, upload = (uuid.uuid4().hex[:24] for _ in range(3))
    async with prepared(storage_connection, eventhub_connection) as bench:
        container = f"f{uuid.uuid4().hex[:8]}"
        inside = bench.settings.model_copy(update={"frames_container": container})
        async with AzureClients(inside) as clients:
            client = await clients.storage()
            await (await clients.blobs()).create_container(container)
            # Given a job of ours with its upload's opening, and one that others may have
            for job in (ours, theirs):
                await bench.blobs.create(container, chunk_blob(job, 0), b"a chunk")
            begun = json.dumps({"job_id": ours}).encode()
            await bench.blobs.create(container, opening_blob(upload), begun)
            for job in (ours, theirs):
                record = first_record(started(job)).to_json()
                await bench.blobs.create(inside.jobs_container, status_blob(job), record)
            hub = SegmentsHub(bench.hub, lambda _: pytest.fail("nobody is asked"))
            storage = Asked(client)
            await Recalls(inside, storage, hub, lambda job: job == ours).recall_forgotten()
    # Only what tells whose a folder is, and the record of the one that may be nobody's
    assert storage.found == {
        f"{container}/{opening_blob(upload)}": True,
        f"{container}/{opening_blob(theirs)}": False,
        f"{inside.jobs_container}/{status_blob(theirs)}": True,
    }


async def test_a_job_whose_record_cannot_be_read_does_not_end_the_search(
    storage_connection: str, eventhub_connection: str
) -> None:
    broken, forgotten = uuid.uuid4().hex[:24], uuid.uuid4().hex[:24]
    async with prepared(storage_connection, eventhub_connection) as bench:
        container = f"f{uuid.uuid4().hex[:8]}"
        inside = bench.settings.model_copy(update={"frames_container": container})
        async with AzureClients(inside) as clients:
            client = await clients.storage()
            await (await clients.blobs()).create_container(container)
            for job in (broken, forgotten):
                await bench.blobs.create(container, chunk_blob(job, 0), b"a chunk")
                record = first_record(started(job)).to_json()
                await bench.blobs.create(inside.jobs_container, status_blob(job), record)
            archived = client.get_blob_client(inside.jobs_container, status_blob(broken))
            await archived.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
            hub = SegmentsHub(bench.hub, lambda _: pytest.fail("nobody is asked"))
            storage = Asked(client)
            await Recalls(inside, storage, hub, lambda _: False).recall_forgotten()
    assert storage.found[f"{inside.jobs_container}/{status_blob(forgotten)}"]
