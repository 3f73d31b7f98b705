"""Uploads whose event was lost are found in storage, and no others are split again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from azure.storage.blob import StandardBlobTier
from splits_bench import Bench, bench_of
from videos import Video

from assembler.job import first_record
from shared.contracts.layout import progress_blob, status_blob
from shared.contracts.messages import EventPlace, SplitStarted
from shared.contracts.status import SplitProgress, write_summary
from shared.contracts.style_request import StyleRequest
from shared.hubs.publisher import Publisher
from shared.hubs.sender import Sender
from shared.service.checkpoints import checkpoint_blob
from shared.service.clients import AzureClients
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobItem
from splitter.intake.acceptance import Acceptance
from splitter.intake.uploads import parse_uploads
from splitter.openings import Opening
from splitter.overlooked import Overlooked

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def put(bench: Bench, name: str) -> str:
    """Upload a video without announcing it; return its version."""
    container = bench.settings.uploads_container
    etag = await bench.blobs.create(container, name, Video(frames=8).make())
    assert etag
    return etag


async def open_for(bench: Bench, name: str) -> Opening:
    """Begin an upload as a splitter does that is heard of no more."""
    container = bench.settings.uploads_container
    facts = await bench.blobs.facts(container, name)
    assert facts
    begun = Opening.of(name, facts, StyleRequest(style="udnie"), bench.settings)
    await bench.openings(5).keep(name, facts.etag, begun)
    return begun


async def end(bench: Bench, opening: Opening) -> None:
    """Write the record of a job that has ended."""
    await record(bench, opening, state="cancelled")


async def record(bench: Bench, opening: Opening, **more: object) -> None:
    """Write the record of a job."""
    video = opening.video
    started = SplitStarted(
        job_id=opening.job_id,
        video_name=video.name,
        video_url=video.url,
        etag=video.etag,
        style=opening.style,
        uploaded_at=video.uploaded_at,
    )
    status = first_record(started).model_copy(update=more)
    jobs, name = bench.settings.jobs_container, status_blob(opening.job_id)
    await bench.blobs.create(jobs, name, status.to_json(), metadata=write_summary(status))


async def storage_clock_s(bench: Bench) -> float:
    """The time by storage's clock, in whole seconds."""
    answers: list[Any] = []
    container = bench.blobs._client.get_container_client(bench.settings.uploads_container)
    await container.get_container_properties(raw_response_hook=answers.append)
    return parsedate_to_datetime(answers[-1].http_response.headers["Date"]).timestamp()


async def later_than(bench: Bench, moment_s: float) -> bool:
    return await storage_clock_s(bench) > moment_s


async def test_uploads_whose_event_was_lost_are_split_and_no_others(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(
        storage_connection, eventhub_connection, uploads_look_s=1, checkpoint_interval_s=0.2
    ) as bench:
        # One was painted, and touched since: another version, of which no event ever comes
        await put(bench, "painted.mp4")
        painted = await open_for(bench, "painted.mp4")
        await end(bench, painted)
        touched = await bench.blobs.annotate(
            bench.settings.uploads_container, "painted.mp4", {"note": "x"}, etag=painted.video.etag
        )
        assert touched
        # One was begun, and its splitter and its event are gone
        await put(bench, "begun.mp4")
        begun = await open_for(bench, "begun.mp4")
        async with bench.splitting():
            assert (await bench.sealed(begun.job_id)).style.style == "udnie"
            # Of the third nobody ever heard; it is found later than the others
            film = await bench.job("film.mp4", await put(bench, "film.mp4"))
            assert (await bench.sealed(film.job_id)).frames == 8
        assert await bench.openings(5).find("painted.mp4", touched) is None
        assert await bench.manifest(painted.job_id) is None


async def test_an_upload_whose_job_has_an_unreadable_record_hides_no_other(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(
        storage_connection, eventhub_connection, uploads_look_s=1, checkpoint_interval_s=0.2
    ) as bench:
        await put(bench, "broken.mp4")
        broken = await open_for(bench, "broken.mp4")
        await record(bench, broken)
        archived = bench.blobs._client.get_blob_client(
            bench.settings.jobs_container, status_blob(broken.job_id)
        )
        await archived.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
        async with bench.splitting():
            film = await bench.job("film.mp4", await put(bench, "film.mp4"))
            assert (await bench.sealed(film.job_id)).frames == 8


async def test_a_deleted_job_takes_its_upload_along_though_that_was_touched(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        uploads = bench.settings.uploads_container
        # Given painted videos: one was touched since, in one's place there is another by now
        for name in ("touched.mp4", "replaced.mp4"):
            await put(bench, name)
            await end(bench, await open_for(bench, name))
        touched, replaced = [await open_for(bench, n) for n in ("touched.mp4", "replaced.mp4")]
        # ... as it may be in the same second, by which storage tells the time.
        await bench.blobs.replace(uploads, "replaced.mp4", Video(frames=9).make())
        written_s = touched.video.uploaded_at.timestamp()
        await bench.until(lambda: later_than(bench, written_s))
        await bench.blobs.annotate(uploads, "touched.mp4", {"a": "b"}, etag=touched.video.etag)
        # When their jobs are deleted
        pipeline = bench.pipeline()
        for job in (touched, replaced):
            await pipeline.delete(job.job_id)
        # Then nobody can take the touched one for an upload whose event was lost
        assert not await bench.blobs.exists(uploads, "touched.mp4")
        assert await bench.blobs.exists(uploads, "replaced.mp4"), "it is another job's"


class Announced(Publisher):
    """The hub of uploads, in which all that is announced again is noted."""

    def __init__(self, sender: Sender) -> None:
        super().__init__(sender)
        self.names: list[str] = []

    async def again(self, body: bytes, partition_id: str) -> None:
        self.names += [upload.name for upload in parse_uploads(body)]
        await super().again(body, partition_id)


async def pass_over(bench: Bench, hub: Publisher) -> None:
    """Have the splitters passed all that is in their hub."""
    settings, name = bench.settings, bench.settings.uploads_hub
    for partition in await hub.partitions():
        newest = str(await hub.newest(partition))
        await bench.blobs.create(
            settings.checkpoints_container(name),
            checkpoint_blob(settings, name, partition),
            b"",
            metadata={"offset": newest, "sequencenumber": newest},
        )


@asynccontextmanager
async def looking(
    storage_connection: str, eventhub_connection: str
) -> AsyncIterator[tuple[Bench, Overlooked, Announced]]:
    """Look for uploads whose event was lost, where splitters have passed all that there was."""
    async with (
        bench_of(storage_connection, eventhub_connection, uploads_look_s=1) as bench,
        AzureClients(bench.settings) as clients,
    ):
        settings = bench.settings
        url = (await clients.media_blobs()).url
        hub = Announced(await clients.sender(settings.uploads_hub))
        accepted = Acceptance(settings, url)
        overlooked = Overlooked(settings, accepted, url, bench.openings(5), bench.blobs, hub)
        await pass_over(bench, hub)
        yield bench, overlooked, hub


async def until_due(bench: Bench) -> None:
    """Wait until all that was uploaded by now should have been announced."""
    looked_s = await storage_clock_s(bench)
    await bench.until(lambda: later_than(bench, looked_s + bench.settings.uploads_look_s))


async def test_a_progress_record_that_was_edited_keeps_no_other_upload_from_being_found(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with looking(storage_connection, eventhub_connection) as (bench, overlooked, hub):
        for name in ("begun.mp4", "other.mp4"):
            await put(bench, name)
        begun = await open_for(bench, "begun.mp4")
        edited = SplitProgress.model_construct(frames=8, chunks=1, at="yesterday")
        jobs = bench.settings.jobs_container
        await bench.blobs.create(jobs, progress_blob(begun.job_id), edited.to_json())
        await until_due(bench)
        await bench.until(lambda: told(overlooked, hub))
    assert set(hub.names) == {"begun.mp4", "other.mp4"}


async def test_records_are_not_listed_while_events_wait(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, items = list[str](), BlobStore.items

    def noted(self: BlobStore, container: str, prefix: str = "") -> AsyncIterator[BlobItem]:
        listed.append(container)
        return items(self, container, prefix)

    async with looking(storage_connection, eventhub_connection) as (bench, overlooked, hub):
        etag = await put(bench, "waits.mp4")
        await bench.tell("waits.mp4", etag)
        await until_due(bench)
        monkeypatch.setattr(BlobStore, "items", noted)
        for _ in range(3):
            await overlooked.announce_missed()
        assert bench.settings.uploads_container in listed
        assert bench.settings.jobs_container not in listed
        assert hub.names == []


async def test_a_begun_upload_is_announced_although_others_wait(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with looking(storage_connection, eventhub_connection) as (bench, overlooked, hub):
        # Given an upload whose splitter is gone, and whose event was in a hub that went further
        await put(bench, "begun.mp4")
        place = EventPlace(partition_id="0", sequence_number=7, at=datetime.now(UTC))
        await record(bench, await open_for(bench, "begun.mp4"), upload_event=place)
        # ... and long films before which nobody will get to anything else for hours
        for partition in await hub.partitions():
            body = bench.announcement("film.mp4", await put(bench, f"film-{partition}.mp4"))
            await Publisher.again(hub, json.dumps(body).encode(), partition)
        await until_due(bench)
        # Then it is announced, once: whoever gets to it will split it
        await bench.until(lambda: told(overlooked, hub))
        for _ in range(3):
            await overlooked.announce_missed()
    assert hub.names == ["begun.mp4"]


async def test_an_upload_that_is_deleted_while_it_is_suspected_is_not_announced(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with looking(storage_connection, eventhub_connection) as (bench, overlooked, hub):
        # Given two uploads that nobody has in hand
        for name in ("kept.mp4", "deleted.mp4"):
            await put(bench, name)
        await until_due(bench)
        await overlooked.announce_missed()
        overlooked._listed = float("inf")
        # When one is deleted between two looks
        await bench.blobs.delete(bench.settings.uploads_container, "deleted.mp4")
        await bench.until(lambda: told(overlooked, hub))
        await overlooked.announce_missed()
    assert set(hub.names) == {"kept.mp4"}


async def told(overlooked: Overlooked, hub: Announced) -> bool:
    """Look again; tell whether anything was announced."""
    await overlooked.announce_missed()
    return bool(hub.names)
