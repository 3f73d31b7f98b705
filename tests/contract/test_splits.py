"""Splits beside and after each other: short videos wait for no long one, and no cut changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from splits_bench import SIZE, Bench, bench_of
from videos import Video

from shared.contracts.errors import TransientError
from shared.contracts.layout import chunk_blob
from shared.storage.blobs import BlobStore
from shared.storage.seals import seal
from splitter.openings import Opening, Openings

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
        # Whoever paints comes to it behind one chunk of each long video, and no more
        for lying in await bench.lying(*long, clip):
            before = lying[: lying.index(clip.job_id)] if clip.job_id in lying else lying
            assert max(Counter(before).values(), default=0) <= 1
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
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("splitter.job", "splitter.intake.budgets"):
        monkeypatch.setattr(f"{module}.PAUSE_S", 0.2)
    async with (
        bench_of(storage_connection, eventhub_connection, budget_open_jobs=1) as bench,
        bench.splitting(),
    ):
        first = await bench.job("eve/1.mp4", await bench.upload("eve/1.mp4", 8))
        await bench.sealed(first.job_id)
        # A second one of the same folder waits, and its record will say for what
        second = await bench.job("eve/2.mp4", await bench.upload("eve/2.mp4", 8))
        await bench.waits_for(second, "budget")
        # A third is cancelled while it waits: nothing of it is ever decoded
        third = await bench.job("eve/3.mp4", await bench.upload("eve/3.mp4", 8))
        await bench.until(lambda: bench.all_wait_for_budget(2))
        await bench.end(third)
        await bench.until(lambda: bench.over(1))
        await bench.until(lambda: bench.all_wait_for_budget(1))
        # It holds up nobody else
        other = await bench.job("bob/1.mp4", await bench.upload("bob/1.mp4", 8))
        await bench.sealed(other.job_id)
        await bench.until(lambda: bench.all_wait_for_budget(1))
        assert await bench.manifest(second.job_id) is None
        # When the first job ends, it goes on
        await bench.end(first)
        assert (await bench.sealed(second.job_id)).frames == 8
        assert await bench.manifest(third.job_id) is None
        await bench.until(lambda: bench.all_wait_for_budget(0))
        # A splitter that leaves gives back what waits
        await bench.job("bob/2.mp4", await bench.upload("bob/2.mp4", 8))
        await bench.until(lambda: bench.all_wait_for_budget(1))
    assert await bench.all_wait_for_budget(0)
    assert bench.failed() == set()


async def test_a_video_over_budget_holds_up_none_that_the_same_event_announces(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with (
        bench_of(storage_connection, eventhub_connection, budget_open_jobs=1) as bench,
        bench.splitting(),
    ):
        first = await bench.job("eve/1.mp4", await bench.upload("eve/1.mp4", 8))
        await bench.sealed(first.job_id)
        video = Video(frames=8, size=SIZE).make()
        names = ("eve/2.mp4", "bob/1.mp4")
        etags = [await bench.store(name, video) for name in names]
        await bench.send([bench.announcement(*told) for told in zip(names, etags, strict=True)])
        waiting, other = [await bench.job(*told) for told in zip(names, etags, strict=True)]
        await bench.sealed(other.job_id)
        assert await bench.manifest(waiting.job_id) is None


async def test_versions_of_a_name_that_come_before_a_splitter_looks_are_one_job(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        etags = [await bench.upload("film.mp4", frames) for frames in (8, 16, 24)]
        async with bench.splitting():
            jobs = [await bench.job("film.mp4", etag) for etag in etags]
            assert (await bench.sealed(jobs[-1].job_id)).frames == 24
    assert {job.job_id for job in jobs} == {jobs[-1].job_id}
    assert jobs[0].video.etag == etags[-1]
    assert bench.failed() == set()


async def test_a_split_keeps_its_cut_when_settings_and_metadata_change(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        async with bench.splitting():
            etag = await bench.upload("film.mp4", 80)
            job = await bench.job("film.mp4", etag)
            await bench.waits_for(job, "a stylizer")
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


async def test_a_split_whose_upload_storage_does_not_hand_out_leaves_its_slot_to_others(
    storage_connection: str, eventhub_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, answers = BlobStore.read_range, asyncio.Event()

    async def busy(self: BlobStore, container: str, name: str, *part: Any) -> bytes | None:
        if name == "hot.mp4" and not answers.is_set():
            raise TransientError("the server is busy")
        return await read(self, container, name, *part)

    monkeypatch.setattr(BlobStore, "read_range", busy)
    monkeypatch.setattr("splitter.upload.PATIENCE_S", 0.2)
    async with (
        bench_of(storage_connection, eventhub_connection, splits=1) as bench,
        bench.splitting(),
    ):
        hot = await bench.job("hot.mp4", await bench.upload("hot.mp4", 8))
        await bench.waits_for(hot, "storage")
        clip = await bench.job("clip.mp4", await bench.upload("clip.mp4", 8))
        assert (await bench.sealed(clip.job_id)).frames == 8
        answers.set()
        assert (await bench.sealed(hot.job_id)).frames == 8


async def begun_by_another_release(bench: Bench, name: str, cut: str | None = None) -> Opening:
    """Split to where the split waits, and have its first chunk as another encoder makes it."""
    async with bench.splitting():
        job = await bench.job(name, await bench.upload(name, 80))
        await bench.waits_for(job, "a stylizer")
    container, first = bench.settings.frames_container, chunk_blob(job.job_id, 0)
    chunk = await bench.blobs.fetch(container, first)
    assert chunk
    other = chunk.data + b"\x00\x00\x00\x08free"
    metadata = {**chunk.metadata, **seal(other), **({"cut": cut} if cut else {})}
    await bench.blobs.replace(container, first, other, metadata=metadata)
    await bench.painted(job, 100)
    return job


@pytest.mark.slow
async def test_a_chunk_that_another_release_encoded_differently_is_kept_and_the_split_continues(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        job = await begun_by_another_release(bench, "film.mp4")
        async with bench.splitting():
            assert (await bench.sealed(job.job_id)).frames == 80
        assert bench.failed() == set()


async def test_a_chunk_of_maybe_another_upload_ends_the_job(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        job = await begun_by_another_release(bench, "film.mp4")
        blob = bench._client.get_blob_client(bench.settings.uploads_container, "film.mp4")
        await blob.set_blob_metadata({"owner": "alice"})
        async with bench.splitting():

            async def failed() -> bool:
                return bench.failed() == {"SOURCE_CHANGED"}

            await bench.until(failed)
        assert await bench.manifest(job.job_id) is None


async def test_a_video_that_another_release_cuts_differently_is_split_again_as_another_job(
    storage_connection: str, eventhub_connection: str
) -> None:
    async with bench_of(storage_connection, eventhub_connection) as bench:
        job = await begun_by_another_release(bench, "film.mp4", "0" * 32)
        anew = job.renewed()
        await bench.painted(anew, 100)
        async with bench.splitting():
            sealed = await bench.sealed(anew.job_id)
        assert sealed.frames == 80
        assert bench.failed() == set()
        assert await bench.manifest(job.job_id) is None
        # Whoever hears of the upload again goes on with that
        again = await bench.job("film.mp4", job.video.etag)
        assert (again.job_id, again.instead_of) == (anew.job_id, job.job_id)


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
