"""Results that are begun before their last segments exist are the same as others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from assembler_bench import started
from films import Film, left_in

from assembler.drafts import Drafts
from assembler.job import Job, first_record
from assembler.materials import Materials
from assembler.mux import Joining
from assembler.records import Records
from assembler.settings import AssemblerSettings
from shared.contracts.layout import chunk_blob
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.seals import seal

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE_S = 90.0


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
        job = records.new(first_record(started(film.job_id)))
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
