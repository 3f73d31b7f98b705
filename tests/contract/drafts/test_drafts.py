"""Results that are begun before their last segments exist are the same as others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from assembler_bench import started
from films import Film, left_in
from prometheus_client import CollectorRegistry

from assembler.drafts import Draft, Drafts
from assembler.job import Job, first_record
from assembler.materials import Materials, Segment
from assembler.metrics import AssemblerMetrics
from assembler.mux import Joining
from assembler.records import Records
from shared.contracts.errors import TransientError
from shared.contracts.layout import chunk_blob
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.storage.seals import seal

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE_S = 90.0


class Desk:
    """Drafts over a real storage, and one job that has them."""

    def __init__(self, blobs: BlobStore, container: str, film: Film, work: Path) -> None:
        self.blobs = blobs
        self.container = container
        self.work = work
        self.counts: list[str] = []
        materials = Materials(blobs, container, container)
        retry = Retry(AssemblerMetrics(CollectorRegistry()))
        threads = ThreadPoolExecutor(1)
        self.drafts = Drafts(1, partial(Draft, str(work), materials, threads, self._count, retry))
        self.job = self.follow(film)

    def follow(self, film: Film) -> Job:
        job = self.follow_split(film)
        job.seal(film.manifest)
        return job

    def follow_split(self, film: Film) -> Job:
        """Follow a job whose video is still being split."""
        records = Records(self.blobs, *[self.container] * 3, redrives=0)
        return records.new(first_record(started(film.job_id)))

    async def _count(self, job: Job) -> bool:
        self.counts.append(job.job_id)
        return True

    async def brings(self, film: Film, *chunks: int) -> None:
        await film.store(self.blobs, self.container, *chunks)
        for chunk in chunks:
            self.job.announce(film.ready(chunk))
            self.drafts.go_on(self.job)

    async def completed(self) -> bytes | None:
        draft = self.drafts.of(self.job.job_id)
        assert draft is not None
        async with asyncio.timeout(PATIENCE_S):
            written = await draft.completed()
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


async def test_a_result_written_as_its_segments_come_is_the_one_made_of_all_at_once(
    storage_connection: str, film: Film, tmp_path: Path, work: Path
) -> None:
    async with desk(storage_connection, film, work) as at:
        # In whatever order they come
        for chunk in (1, 0, 2):
            await at.brings(film, chunk)
        assert await at.completed() == film.made(tmp_path)
        at.drafts.drop(film.job_id)
        await at.drafts.drop_all()
    assert not left_in(work), "nothing of it is left"
    assert at.counts == [film.job_id]


async def test_segments_are_fetched_while_their_video_is_still_being_split(
    storage_connection: str, film: Film, tmp_path: Path, work: Path, fetched: asyncio.Semaphore
) -> None:
    async with desk(storage_connection, film, work) as at:
        at.job = at.follow_split(film)
        # In whatever order they come
        for chunk in (1, 0):
            await at.brings(film, chunk)
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(2):
                await fetched.acquire()
        assert not at.counts, "nothing that could end the assembler was tried yet"
        # Then they are not fetched again
        for chunk in (0, 1):
            await at.blobs.delete(at.container, chunk_blob(film.job_id, chunk))
        at.job.seal(film.manifest)
        await at.brings(film, 2)
        assert await at.completed() == film.made(tmp_path)
    assert not left_in(work), "nothing of it is left"
    assert at.counts == [film.job_id]


@pytest_asyncio.fixture(loop_scope="session")
async def fetched(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """What can be acquired once for each segment that was fetched."""
    found = asyncio.Semaphore(0)
    fetch = Materials.segment

    async def counted(self: Materials, *arguments: Any) -> Segment:
        segment = await fetch(self, *arguments)
        found.release()
        return segment

    monkeypatch.setattr(Materials, "segment", counted)
    return found


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


async def test_a_draft_is_completed_with_segments_that_were_not_announced_to_it(
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
        assert await at.completed() == film.made(tmp_path)


async def test_only_the_last_segment_has_to_be_added_at_the_end(
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
        assert await at.completed() == film.made(tmp_path)


async def test_a_draft_outlasts_a_time_in_which_storage_is_unavailable(
    storage_connection: str,
    film: Film,
    tmp_path: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetch, failed = Materials.segment, asyncio.Event()

    async def fails_first(self: Materials, *arguments: Any) -> Segment:
        if not failed.is_set():
            failed.set()
            raise TransientError("storage does not respond")
        return await fetch(self, *arguments)

    monkeypatch.setattr(Materials, "segment", fails_first)
    async with desk(storage_connection, film, work) as at:
        await at.brings(film, 0, 1, 2)
        assert await at.completed() == film.made(tmp_path)
    assert failed.is_set()


@pytest.mark.parametrize("lost", ["damaged", "missing", "side"])
async def test_no_draft_is_made_of_missing_or_damaged_blobs(
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
        assert await at.completed() is None
        assert not left_in(work), "nothing of it is left"


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
    assert not left_in(work), "nothing of either is left"
