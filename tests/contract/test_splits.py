"""Splits beside and after each other: short videos wait for no long one, and no cut changes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import psutil
import pytest
from azure.eventhub import EventData
from azure.storage.blob.aio import BlobServiceClient
from prometheus_client import CollectorRegistry
from videos import Video, number_picture

from assembler.job import opening as first_record
from shared.contracts.errors import PermanentError
from shared.contracts.layout import chunk_blob, progress_blob, status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import SplitStarted
from shared.contracts.status import SplitProgress, read_status
from shared.contracts.style_request import StyleRequest
from shared.hubs.sender import Sender
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service
from shared.storage.blobs import BlobStore
from shared.storage.manifests import load_manifest
from splitter import service as splitter
from splitter.metrics import SplitterMetrics
from splitter.openings import Opening, Openings
from splitter.settings import SplitterSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 90.0
SIZE = (64, 48)
Draw = Callable[[int, int, int], np.ndarray]


class Bench:
    """Containers and a consumer group of a test's own, and the splitters that it starts there."""

    def __init__(self, settings: SplitterSettings, client: BlobServiceClient, hub: Sender) -> None:
        self.settings = settings
        self.blobs = BlobStore(client)
        self._client = client
        self._hub = hub

    async def upload(
        self, name: str, frames: int, size: tuple[int, int] = SIZE, draw: Draw = number_picture
    ) -> str:
        """Upload a video and tell of it; return its version."""
        blob = self._client.get_blob_client(self.settings.uploads_container, name)
        written = await blob.upload_blob(Video(frames=frames, size=size, draw=draw).make())
        etag = str(written["etag"]).strip('"')
        await self.tell(name, etag)
        return etag

    async def tell(self, name: str, etag: str) -> None:
        container = self.settings.uploads_container
        blob = self._client.get_blob_client(container, name)
        event = {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            "source": "/test",
            "type": "Microsoft.Storage.BlobCreated",
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "data": {"api": "PutBlob", "eTag": etag, "url": blob.url},
        }
        await self._hub.call(lambda client: client.send_batch([EventData(json.dumps(event))]))

    def openings(self, attempts: int) -> Openings:
        inside = self.settings
        return Openings(self.blobs, inside.frames_container, inside.jobs_container, attempts)

    async def job(self, name: str, etag: str) -> Opening:
        found: list[Opening] = []

        async def look() -> bool:
            opening = await self.openings(5).find(name, etag)
            found[:] = [opening] if opening else []
            return bool(found)

        await self.until(look)
        return found[0]

    async def sealed(self, job: str) -> Manifest:
        await self.until(lambda: self.manifest(job))
        manifest = await self.manifest(job)
        assert manifest
        return manifest

    def failed(self) -> set[str]:
        """Return the codes that the splitter has failed jobs with."""
        samples = [sample for metric in self.metrics.collect() for sample in metric.samples]
        return {
            sample.labels["code"]
            for sample in samples
            if sample.name == "splitter_errors_total" and sample.value
        }

    async def manifest(self, job: str) -> Manifest | None:
        return await load_manifest(self.blobs, self.settings.frames_container, job)

    async def progress(self, job: str) -> SplitProgress | None:
        data = await self.blobs.read(self.settings.jobs_container, progress_blob(job))
        return SplitProgress.model_validate_json(data) if data else None

    async def painted(self, job: Opening, chunks: int) -> None:
        """Say in the job's record that so many chunks are painted."""
        started = SplitStarted(
            job_id=job.job_id,
            video_name=job.video.name,
            video_url=job.video.url,
            etag=job.video.etag,
            style=StyleRequest(style="starry-night"),
        )
        record = first_record(started).model_copy(update={"chunks_stylized": chunks})
        await self.blobs.replace(
            self.settings.jobs_container, status_blob(job.job_id), record.to_json()
        )

    async def end(self, job: Opening) -> None:
        """Say in the job's record that it was cancelled."""
        await self.painted(job, 0)
        name = status_blob(job.job_id)
        record = read_status(await self.blobs.read(self.settings.jobs_container, name) or b"")
        ended = record.model_copy(update={"state": "cancelled"})
        await self.blobs.replace(self.settings.jobs_container, name, ended.to_json())

    async def until(self, look: Callable[[], Awaitable[object]]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not await look():
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def splitting(self, **settings: object) -> AsyncIterator[Service]:
        """Run a splitter; leaving ends it as SIGTERM does."""
        chosen = self.settings.model_copy(update=settings)
        async with AzureClients(chosen) as clients:
            self.metrics = CollectorRegistry()
            metrics = SplitterMetrics(self.metrics)
            service = await splitter.build(chosen, clients, metrics, Health())
            reading = asyncio.create_task(service.consumer.run())
            try:
                yield service
            finally:
                service.consumer.drain()
                service.drain()
                await service.finish()
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def bench_of(storage: str, eventhub: str, **settings: object) -> AsyncIterator[Bench]:
    name = uuid.uuid4().hex[:8]
    chosen = SplitterSettings(
        storage_connection_string=storage,  # type: ignore[arg-type]
        eventhub_connection_string=eventhub,  # type: ignore[arg-type]
        consumer_group=f"g{name}",
        uploads_checkpoints_container=f"c{name}",
        uploads_container=f"u{name}",
        jobs_container=f"j{name}",
        frames_container=f"f{name}",
        dead_letters_container=f"d{name}",
        load_balancing_interval_s=0.5,
        ownership_expiry_s=5,
        progress_interval_s=0.1,
        chunk_frames=8,
        outstanding_chunks=1,
        **settings,  # type: ignore[arg-type]
    )
    async with AzureClients(chosen) as clients:
        client = await clients.blobs()
        for kind in "cujfd":
            await client.create_container(f"{kind}{name}")
        yield Bench(chosen, client, await clients.sender(chosen.uploads_hub))


async def test_a_short_video_waits_for_none_of_the_long_ones_that_wait_for_painting(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with (
        bench_of(storage_connection, eventhub_connection, splits=2) as bench,
        bench.splitting(),
    ):
        # More long videos than slots, each far longer than the window of four chunks
        long = [await bench.job(n, await bench.upload(n, 80)) for n in ("a.mp4", "b.mp4", "c.mp4")]

        async def all_wait() -> bool:
            found = [await bench.progress(job.job_id) for job in long]
            return all(p is not None and p.waiting_for == "a stylizer" for p in found)

        await bench.until(all_wait)
        # When a short one comes, nobody paints, and it is split all the same
        clip = await bench.job("clip.mp4", await bench.upload("clip.mp4", 8))
        assert (await bench.sealed(clip.job_id)).frames == 8
        assert [await bench.manifest(job.job_id) for job in long] == [None] * 3
        # When the long ones are painted, each comes to its end, with every chunk
        for painted in (4, 8, 12):
            for job in long:
                await bench.painted(job, painted)
            await asyncio.sleep(0.3)
        for job in long:
            sealed = await bench.sealed(job.job_id)
            assert sealed.frames == 80
            for chunk in sealed.chunks:
                name = chunk_blob(job.job_id, chunk.index)
                assert await bench.blobs.facts(bench.settings.frames_container, name)


async def test_an_uploader_over_budget_waits_until_one_of_their_jobs_ends_and_others_do_not(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with (
        bench_of(storage_connection, eventhub_connection, budget_open_jobs=1) as bench,
        bench.splitting(),
    ):
        first = await bench.job("eve/1.mp4", await bench.upload("eve/1.mp4", 8))
        await bench.sealed(first.job_id)
        # A second one of the same folder waits, and its record will say for what
        second = await bench.job("eve/2.mp4", await bench.upload("eve/2.mp4", 8))

        async def waits() -> bool:
            found = await bench.progress(second.job_id)
            return found is not None and found.waiting_for == "budget"

        await bench.until(waits)
        # It holds up nobody else
        other = await bench.job("bob/1.mp4", await bench.upload("bob/1.mp4", 8))
        await bench.sealed(other.job_id)
        assert await bench.manifest(second.job_id) is None
        # When the first job ends, it goes on
        await bench.end(first)
        assert (await bench.sealed(second.job_id)).frames == 8
    assert bench.failed() == set()


async def test_a_split_goes_on_with_its_cut_whatever_the_settings_and_its_metadata_are_by_then(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.upload("film.mp4", 80)
            job = await bench.job("film.mp4", etag)

            async def waits() -> bool:
                found = await bench.progress(job.job_id)
                return found is not None and found.waiting_for == "a stylizer"

            await bench.until(waits)
        # A splitter that leaves gives a video back that only waits, at once. Its user touches it.
        blob = bench._client.get_blob_client(bench.settings.uploads_container, "film.mp4")
        await blob.set_blob_metadata({"style": "the-scream", "owner": "alice"})
        await bench.painted(job, 100)
        # Another release cuts otherwise, and hears of the upload again
        async with bench.splitting(chunk_frames=16, first_chunk_frames=16):
            sealed = await bench.sealed(job.job_id)
    assert sealed.frames == 80
    assert {chunk.frames for chunk in sealed.chunks} == {8}
    assert sealed.style.style == "starry-night"


def noise(number: int, width: int, height: int) -> np.ndarray:
    """Draw a picture that no codec makes small, shape (height, width)."""
    return np.random.default_rng(number).integers(0, 256, (height, width), dtype=np.uint8)


def decoders() -> list[psutil.Process]:
    """The decoding children of this process that live."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "splitter.decoder" in " ".join(child.cmdline())]


async def test_a_decoder_that_is_killed_once_is_started_again_and_blamed_the_second_time(
    storage_connection: str, eventhub_connection: str
) -> None:
    # Far more than the pipe between the two holds: the decoder waits with its splitter
    large = (320, 240)
    async with bench_of(storage_connection, eventhub_connection) as bench, bench.splitting():
        job = await bench.job("once.mp4", await bench.upload("once.mp4", 160, large, noise))

        async def waits() -> bool:
            found = await bench.progress(job.job_id)
            return found is not None and found.waiting_for == "a stylizer"

        await bench.until(waits)
        # As the kernel does that runs out of memory, for whoever's sake
        [decoder] = decoders()
        decoder.kill()
        await bench.painted(job, 100)
        assert (await bench.sealed(job.job_id)).frames == 160

        bad = await bench.job("bad.mp4", await bench.upload("bad.mp4", 160, large, noise))

        async def blamed() -> bool:
            for decoder in decoders():
                decoder.kill()
            return bench.failed() == {"DECODER_OUT_OF_MEMORY"}

        await bench.until(blamed)
        assert await bench.manifest(bad.job_id) is None


async def test_a_video_that_ends_its_splitter_again_and_again_is_given_up(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection, split_attempts=2) as bench:
        etag = await bench.upload("killer.mp4", 8)
        container = bench.settings.jobs_container
        openings = bench.openings(2)
        async with bench.splitting(split_attempts=2):
            job = await bench.job("killer.mp4", etag)
            await bench.sealed(job.job_id)
        # Two splitters have begun with it, and nothing came of it
        await bench.blobs.delete(bench.settings.frames_container, f"{job.job_id}/manifest.json")
        await bench.blobs.delete(container, progress_blob(job.job_id))
        await openings.begin("killer.mp4", etag, job)
        with pytest.raises(PermanentError, match="ended its splitter 2 times at the same place"):
            await openings.begin("killer.mp4", etag, job)
        await bench.tell("killer.mp4", etag)
        async with bench.splitting():

            async def buried() -> bool:
                letters = bench.blobs.names(bench.settings.dead_letters_container)
                return [name async for name in letters] != []

            await bench.until(buried)
        assert await bench.manifest(job.job_id) is None


async def test_a_split_that_waited_when_its_splitter_was_killed_is_not_counted(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.upload("film.mp4", 8)
            job = await bench.job("film.mp4", etag)
            await bench.sealed(job.job_id)
        waits = SplitProgress(frames=8, chunks=1, waiting_for="a stylizer")
        await bench.blobs.replace(
            bench.settings.jobs_container, progress_blob(job.job_id), waits.to_json()
        )
        openings = bench.openings(2)
        for _ in range(10):
            await openings.begin("film.mp4", etag, job)


async def test_an_opening_among_the_records_is_not_followed(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.upload("first.mp4", 8)
            first = await bench.job("first.mp4", etag)
            await bench.sealed(first.job_id)
        # Given a user's opening, where users may write, that names somebody else's job
        etag = await bench.upload("second.mp4", 8)
        jobs = bench.settings.jobs_container
        await Openings(bench.blobs, jobs, jobs, 5).keep("second.mp4", etag, first)
        async with bench.splitting():
            second = await bench.job("second.mp4", etag)
            await bench.sealed(second.job_id)
    assert second.video.name == "second.mp4"
    assert second.job_id != first.job_id
