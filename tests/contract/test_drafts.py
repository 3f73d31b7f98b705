"""Results that are begun before their last segments are there: the same, and never in the way."""

from __future__ import annotations

import asyncio
import errno
import io
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from contract.test_services import Bench, running, started
from videos import Sound, Video

from assembler import assembly
from assembler.drafts import Drafts
from assembler.job import Job, opening
from assembler.materials import Materials
from assembler.mux import Joining, mux
from assembler.records import Records
from assembler.settings import AssemblerSettings
from shared.contracts.layout import chunk_blob, manifest_blob, side_blob
from shared.contracts.manifest import Manifest, Source
from shared.contracts.messages import ChunkFailed, SegmentReady, SplitCompleted
from shared.contracts.style_request import StyleRequest
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.manifests import store_manifest
from shared.storage.seals import file_digest, seal
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitOptions, split

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHUNKS = 3
PATIENCE_S = 90.0


class Film:
    """A job's segments, its copied tracks, and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.job_id, self.side = uuid.uuid4().hex[:24], folder / "side"
        video = io.BytesIO(Video(frames=4 * CHUNKS, sounds=[Sound()]).make())
        source, *chunks, _ = split(
            video, SplitOptions(chunk_frames=4, first_chunk_frames=4), self.side
        )
        assert isinstance(source, Source)
        encoded = [chunk for chunk in chunks if isinstance(chunk, EncodedChunk)]
        # Painted in no style: the source's own chunks.
        self.segments = [chunk.data for chunk in encoded]
        digest = file_digest(self.side)
        self.manifest = Manifest(
            job_id=self.job_id,
            video_url="u",
            video_name=f"{self.job_id}.mp4",
            etag="e",
            style=StyleRequest(style="starry-night"),
            source=source,
            chunks=tuple(chunk.chunk for chunk in encoded),
            frames=4 * CHUNKS,
            side=side_blob(self.job_id, source.container, digest),
            side_sha256=digest,
        )
        assert len(self.segments) == CHUNKS

    def ready(self, chunk: int) -> SegmentReady:
        return SegmentReady(job_id=self.job_id, chunk=chunk, frames=4)

    async def store(self, blobs: BlobStore, container: str, *chunks: int) -> None:
        for chunk in chunks:
            data = self.segments[chunk]
            await blobs.create(container, chunk_blob(self.job_id, chunk), data, metadata=seal(data))

    async def store_split(self, blobs: BlobStore, container: str) -> None:
        assert self.manifest.side
        await blobs.create(container, self.manifest.side, self.side)
        await store_manifest(blobs, container, self.manifest)

    def made(self, folder: Path) -> bytes:
        """Return the result as it is made when all is there."""
        out = folder / "whole.mp4"
        mux(self.manifest, self.segments, self.side, out)
        return out.read_bytes()


def left(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [entry.name for entry in folder.iterdir()]


@pytest.fixture
def film(tmp_path: Path) -> Film:
    return Film(tmp_path)


class Desk:
    """Drafts over a real storage, and one job that has them."""

    def __init__(self, blobs: BlobStore, container: str, film: Film, work: Path) -> None:
        self.blobs = blobs
        self.container = container
        self.work = work
        settings = AssemblerSettings(
            storage_connection_string="UseDevelopmentStorage=true",  # type: ignore[arg-type]
            eventhub_connection_string="Endpoint=sb://localhost;UseDevelopmentEmulator=true",  # type: ignore[arg-type]
            work_dir=str(work),
            drafts=1,
        )
        self.counts: list[str] = []
        self.drafts = Drafts(
            settings,
            Materials(blobs, container, container),
            ThreadPoolExecutor(1),
            self._count,
        )
        self.job = self.follow(film)

    def follow(self, film: Film) -> Job:
        records = Records(self.blobs, self.container, self.container, redrives=0)
        job = records.new(opening(started(film.job_id)))
        job.seal(film.manifest)
        return job

    async def _count(self, job: Job) -> bool:
        self.counts.append(job.job_id)
        return True

    async def brings(self, film: Film, *chunks: int) -> None:
        await film.store(self.blobs, self.container, *chunks)
        for chunk in chunks:
            self.job.announce(film.ready(chunk))
            self.drafts.go_on(self.job)

    async def whole(self) -> bytes | None:
        draft = self.drafts.of(self.job.job_id)
        assert draft is not None
        async with asyncio.timeout(PATIENCE_S):
            written = await draft.whole()
        return None if written is None else written.out.read_bytes()


@asynccontextmanager
async def desk(connection: str, film: Film, work: Path) -> AsyncIterator[Desk]:
    container = f"t{uuid.uuid4().hex[:8]}"
    async with storage_client(connection, None, None) as client:
        await client.create_container(container)
        desk = Desk(BlobStore(client), container, film, work)
        assert film.manifest.side
        await desk.blobs.create(container, film.manifest.side, film.side)
        try:
            yield desk
        finally:
            await desk.drafts.drop_all()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


async def test_a_result_written_as_its_segments_come_is_the_one_made_of_all_at_once(
    storage_connection: str, film: Film, tmp_path: Path, work: Path
) -> None:
    async with desk(storage_connection, film, work) as at:
        # In whatever order they come
        for chunk in (1, 0, 2):
            await at.brings(film, chunk)
        assert await at.whole() == film.made(tmp_path)
        at.drafts.drop(film.job_id)
        await at.drafts.drop_all()
    assert not left(work), "nothing of it is left"
    assert at.counts == [film.job_id]


@pytest_asyncio.fixture(loop_scope="session")
async def appended(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """What can be acquired once for each segment that was appended."""
    found = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    append: Callable[..., None] = Joining.append

    def counted(*arguments: object) -> None:
        append(*arguments)
        loop.call_soon_threadsafe(found.release)

    monkeypatch.setattr(Joining, "append", counted)
    return found


class News(asyncio.Event):
    """What a draft waits for, and whether it does."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.awaited.set()
        return await super().wait()


async def test_a_draft_is_completed_though_nobody_told_it_of_the_last_segments(
    storage_connection: str, film: Film, tmp_path: Path, work: Path
) -> None:
    async with desk(storage_connection, film, work) as at:
        await at.brings(film, 0)
        draft = at.drafts.of(film.job_id)
        assert draft is not None
        draft._news = news = News()
        await asyncio.wait_for(news.awaited.wait(), PATIENCE_S)
        # Found in storage, as those are whose event was lost
        await film.store(at.blobs, at.container, 1, 2)
        for chunk in (1, 2):
            at.job.announce(film.ready(chunk))
        assert await at.whole() == film.made(tmp_path)


async def test_when_the_last_segment_comes_it_alone_is_missing(
    storage_connection: str, film: Film, tmp_path: Path, work: Path, appended: asyncio.Semaphore
) -> None:
    async with desk(storage_connection, film, work) as at:
        await at.brings(film, 0, 1)
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(2):
                await appended.acquire()
        # Those that were written are not read again
        for chunk in (0, 1):
            await at.blobs.delete(at.container, chunk_blob(film.job_id, chunk))
        await at.brings(film, 2)
        assert await at.whole() == film.made(tmp_path)


@pytest.mark.parametrize("lost", ["damaged", "missing", "side"])
async def test_of_what_is_not_as_it_was_written_no_draft_is_made(
    storage_connection: str, film: Film, work: Path, lost: str
) -> None:
    async with desk(storage_connection, film, work) as at:
        if lost == "side":
            assert film.manifest.side
            await at.blobs.delete(at.container, film.manifest.side)
        if lost == "damaged":
            name = chunk_blob(film.job_id, 1)
            await at.blobs.create(at.container, name, b"another", metadata=seal(b"something"))
        await at.brings(film, 0, 2)
        at.job.announce(film.ready(1))
        at.drafts.go_on(at.job)
        assert await at.whole() is None
        assert not left(work), "nothing of it is left"


async def test_no_more_drafts_are_made_than_are_allowed(
    storage_connection: str, film: Film, tmp_path: Path, work: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Film(tmp_path / "other")
    async with desk(storage_connection, film, work) as at:
        await at.brings(film, 0)
        waits = at.follow(other)
        at.drafts.go_on(waits)
        assert at.drafts.of(other.job_id) is None
        assert await at.drafts.drop_all()
        at.drafts.go_on(waits)
        assert at.drafts.of(other.job_id) is not None
    assert not left(work), "nothing of either is left"


async def _published(bench: Bench, film: Film) -> bytes:
    status = await bench.ended(film.job_id)
    assert status.state == "done", status.error
    return await bench.blobs.read(bench.settings.results_container, status.result or "") or b""


async def _begun(bench: Bench, film: Film) -> bool:
    facts = await bench.blobs.facts(bench.settings.frames_container, manifest_blob(film.job_id))
    return facts is not None and facts.metadata.get("assemblies") == "1"


async def _announce(bench: Bench, film: Film, *chunks: int) -> None:
    await film.store(bench.blobs, bench.settings.segments_container, *chunks)
    for chunk in chunks:
        await bench.hub.by_job(film.ready(chunk))


async def test_a_job_is_begun_and_counted_before_its_last_segment(
    storage_connection: str, eventhub_connection: str, film: Film, tmp_path: Path, work: Path
) -> None:
    async with running(storage_connection, eventhub_connection, work_dir=str(work)) as bench:
        frames = bench.settings.frames_container
        await bench.hub.by_job(started(film.job_id))
        await film.store_split(bench.blobs, frames)
        split = SplitCompleted(job_id=film.job_id, chunks=CHUNKS, frames=4 * CHUNKS)
        await bench.hub.by_job(split)
        await _announce(bench, film, 0, 1)
        await bench.until(lambda: _begun(bench, film))

        await _announce(bench, film, 2)
        assert await _published(bench, film) == film.made(tmp_path)
    assert not left(work), "nothing half-made stays behind"


async def test_a_job_that_fails_leaves_nothing_of_its_draft(
    storage_connection: str, eventhub_connection: str, film: Film, work: Path
) -> None:
    async with running(storage_connection, eventhub_connection, work_dir=str(work)) as bench:
        await bench.hub.by_job(started(film.job_id))
        await film.store_split(bench.blobs, bench.settings.frames_container)
        split = SplitCompleted(job_id=film.job_id, chunks=CHUNKS, frames=4 * CHUNKS)
        await bench.hub.by_job(split)
        await _announce(bench, film, 0)
        await bench.until(lambda: _is(left(work)))
        failed = ChunkFailed(job_id=film.job_id, chunk=1, code="CHUNK_POISONED", message="it hung")
        await bench.hub.by_job(failed)
        assert (await bench.ended(film.job_id)).state == "failed"
        await bench.until(lambda: _is(not left(work)))


async def test_drafts_make_room_for_results_that_are_complete(
    storage_connection: str,
    eventhub_connection: str,
    film: Film,
    tmp_path: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a work folder that has no room beside a draft
    (tmp_path / "other").mkdir()
    other = Film(tmp_path / "other")

    def beside_nothing(*arguments: object) -> None:
        if len(left(work)) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        mux(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(assembly, "mux", beside_nothing)
    settings = {"work_dir": str(work), "drafts": 1}
    async with running(storage_connection, eventhub_connection, **settings) as bench:
        for one in (other, film):
            await bench.hub.by_job(started(one.job_id))
            await one.store_split(bench.blobs, bench.settings.frames_container)
            await bench.hub.by_job(
                SplitCompleted(job_id=one.job_id, chunks=CHUNKS, frames=4 * CHUNKS)
            )
            await _announce(bench, one, 0)
            await bench.until(lambda: _is(left(work)))
        # When a job is complete that has no draft
        await _announce(bench, film, 1, 2)
        assert await _published(bench, film) == film.made(tmp_path)
        # Then both have their results
        await _announce(bench, other, 1, 2)
        assert await _published(bench, other) == other.made(tmp_path / "other")


async def _is(truth: object) -> bool:
    return bool(truth)
