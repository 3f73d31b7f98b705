"""Results of versions of one upload: the newest has the plain name, and none is lost."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient
from manifests import manifest

from assembler.publication import Publication
from assembler.records import Records
from assembler.verify import corrupt_result
from client.account import Containers
from client.pipeline import Pipeline
from shared.contracts.layout import status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.status import Status, read_status, utc_now
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore
from shared.storage.sealed_files import SealedFile
from shared.storage.seals import file_digest

pytestmark = pytest.mark.asyncio(loop_scope="session")
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Bench:
    """Containers of a test's own, and who publishes there."""

    client: BlobServiceClient
    blobs: BlobStore
    publication: Publication
    records: Records
    results: str
    jobs: str
    folder: Path

    async def publish(self, version: Manifest, content: bytes) -> str:
        """Publish as an assembler does, the record stored after that; return the name."""
        name = await self.publication.publish(version, self.file(content))
        record = Status(
            job_id=version.job_id,
            state="done",
            video_name=version.video_name,
            video_url=version.video_url,
            style=version.style,
            started_at=utc_now(),
            updated_at=utc_now(),
            result=name,
        )
        await self.records.mark_end(version.job_id)
        await self.blobs.replace(self.jobs, status_blob(version.job_id), record.to_json())
        return name

    def user(self) -> Pipeline:
        """Return what users have of it; their uploads are gone already."""
        return Pipeline(self.client, Containers(self.jobs, self.results, self.jobs))

    def file(self, content: bytes) -> SealedFile:
        path = self.folder / "result.mp4"
        path.write_bytes(content)
        return SealedFile(path, file_digest(path), corrupt_result)

    async def recorded(self, version: Manifest) -> str | None:
        data = await self.blobs.read(self.jobs, status_blob(version.job_id))
        assert data
        return read_status(data).result

    async def contents(self) -> dict[str, bytes]:
        names = [name async for name in self.blobs.names(self.results)]
        return {name: await self.blobs.read(self.results, name) or b"" for name in names}


@pytest_asyncio.fixture(loop_scope="session")
async def bench(storage_connection: str, tmp_path: Path) -> AsyncIterator[Bench]:
    name = uuid.uuid4().hex[:8]
    async with storage_client(storage_connection, None, None) as client:
        for kind in "rj":
            await client.create_container(f"{kind}{name}")
        blobs = BlobStore(client)
        records = Records(blobs, f"j{name}", f"r{name}", f"j{name}", redrives=0)
        publication = Publication(blobs, f"r{name}", records)
        yield Bench(client, blobs, publication, records, f"r{name}", f"j{name}", tmp_path)


def version(number: int, name: str = "film.mp4") -> Manifest:
    """The job of an upload's version, of which the first is number 0."""
    made = manifest(uuid.uuid4().hex[:24], [8])
    return made.model_copy(
        update={"video_name": name, "uploaded_at": BEGIN + timedelta(seconds=number)}
    )


def plain(of: Manifest) -> str:
    return f"film.{of.style.slug}.mp4"


def own(of: Manifest) -> str:
    return f"film.{of.style.slug}.{of.job_id[:8]}.mp4"


async def test_the_newest_version_takes_the_plain_name_and_the_older_ones_records_follow(
    bench: Bench,
) -> None:
    first, second, third = version(0), version(1), version(2)
    # More than one block, so that it is copied in several
    long = os.urandom(9 << 20)
    assert await bench.publish(first, long) == plain(first)
    assert await bench.publish(second, b"two") == plain(second)
    assert await bench.publish(third, b"three") == plain(third)
    contents = await bench.contents()
    assert contents == {plain(third): b"three", own(second): b"two", own(first): long}
    assert await bench.recorded(first) == own(first)
    assert await bench.recorded(second) == own(second)
    # Each still says whose it is, and of what type
    moved = await bench.blobs.facts(bench.results, own(first))
    assert moved
    assert moved.metadata["job_id"] == first.job_id
    # Done again, as after a crash, it is done once
    assert await bench.publication.publish(third, bench.file(b"three")) == plain(third)
    assert await bench.publication.publish(first, bench.file(b"one")) == own(first)
    assert await bench.contents() == contents


async def test_an_older_version_that_ends_later_leaves_the_newer_one_its_name(
    bench: Bench,
) -> None:
    first, second = version(0), version(1)
    await bench.publish(second, b"two")
    assert await bench.publish(first, b"one") == own(first)
    assert (await bench.contents())[plain(second)] == b"two"


async def test_another_upload_does_not_take_the_name_of_a_result(bench: Bench) -> None:
    film, recording = version(0), version(1, "film.mov")
    await bench.publish(film, b"film")
    assert await bench.publish(recording, b"recording") == own(recording)
    assert (await bench.contents())[plain(film)] == b"film"


@pytest.mark.parametrize("leased", ["result", "record"])
async def test_an_older_result_keeps_its_name_if_it_or_its_record_is_leased(
    bench: Bench, storage_connection: str, leased: str
) -> None:
    first, second = version(0), version(1)
    await bench.publish(first, b"one")
    blob = (
        (bench.results, plain(first))
        if leased == "result"
        else (bench.jobs, status_blob(first.job_id))
    )
    async with storage_client(storage_connection, None, None) as client:
        await client.get_blob_client(*blob).acquire_lease(-1)
        assert await bench.publish(second, b"two") == own(second)
    assert await bench.contents() == {plain(first): b"one", own(second): b"two"}
    assert await bench.recorded(first) == plain(first)


async def test_a_record_that_is_stored_while_its_result_is_renamed_is_corrected(
    bench: Bench,
) -> None:
    first, second = version(0), version(1)
    await bench.publication.publish(first, bench.file(b"one"))
    await bench.publish(second, b"two")
    assert await bench.publication.find(first, plain(first)) == own(first)
    assert await bench.publication.find(second, plain(second)) == plain(second)


async def test_only_the_cancelled_jobs_result_is_withdrawn(bench: Bench) -> None:
    first, second = version(0), version(1)
    await bench.publish(first, b"one")
    await bench.publish(second, b"two")
    await bench.publication.withdraw(first.job_id, plain(first))
    assert (await bench.contents())[plain(second)] == b"two"
    await bench.publication.withdraw(second.job_id, plain(second))
    assert set(await bench.contents()) == {own(first)}


class Interrupted:
    """Blobs of which one method is followed by something else, the first time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self._original = getattr(BlobStore, method)
        self._steps: list[Callable[[], Awaitable[object]]] = []
        self._wanted: tuple[str, str] | None = None
        monkeypatch.setattr(BlobStore, method, self._call())

    def then(self, wanted: tuple[str, str], step: Callable[[], Awaitable[object]]) -> None:
        """Do ``step`` right after the method was called for the blob that is ``wanted``."""
        self._wanted, self._steps = wanted, [step]

    def _call(self) -> Callable[..., Awaitable[Any]]:
        async def call(blobs: BlobStore, *args: Any, **options: Any) -> Any:
            answer = await self._original(blobs, *args, **options)
            if args[:2] == self._wanted and self._steps:
                await self._steps.pop()()
            return answer

        return call


async def test_a_name_that_becomes_free_while_it_is_looked_at_is_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, recording = version(0), version(1, "film.mov")
    await bench.publish(film, b"film")
    await bench.blobs.create(bench.results, own(recording), b"a copy", metadata={})
    created = Interrupted(monkeypatch, "create")
    created.then(
        (bench.results, own(recording)), lambda: bench.blobs.delete(bench.results, own(recording))
    )
    assert await bench.publish(recording, b"recording") == own(recording)
    assert (await bench.contents())[own(recording)] == b"recording"


async def test_a_job_deleted_while_its_result_makes_room_for_a_newer_one_leaves_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = version(0), version(1)
    await bench.publish(first, b"one")
    copied = Interrupted(monkeypatch, "copy")
    copied.then((bench.results, plain(first)), lambda: bench.user().delete(first.job_id))
    assert await bench.publish(second, b"two") == plain(second)
    assert await bench.contents() == {plain(second): b"two"}
    assert [job.job_id for job in await bench.user().list()] == [second.job_id]


async def test_a_deletion_during_which_a_newer_result_takes_the_name_deletes_what_made_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = version(0), version(1)
    await bench.publish(first, b"one")
    read = Interrupted(monkeypatch, "fetch")
    name = status_blob(first.job_id)

    async def before_that() -> None:
        # ``delete`` itself looks at the record first.
        read.then((bench.jobs, name), lambda: bench.publish(second, b"two"))

    read.then((bench.jobs, name), before_that)
    await bench.user().delete(first.job_id)
    assert await bench.contents() == {plain(second): b"two"}
    assert [job.job_id for job in await bench.user().list()] == [second.job_id]


async def test_a_result_is_found_while_it_makes_room_for_a_newer_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = version(0), version(1)
    await bench.publish(first, b"one")
    read = Interrupted(monkeypatch, "fetch")
    read.then((bench.jobs, status_blob(first.job_id)), lambda: bench.publish(second, b"two"))
    path = await bench.user().fetch(first.job_id, bench.folder / "mine.mp4")
    assert path.read_bytes() == b"one"


async def test_a_record_that_names_the_former_name_of_its_result_is_corrected_by_the_next_assembler(
    bench: Bench,
) -> None:
    first, second = version(0), version(1)
    await bench.publish(first, b"one")
    name = status_blob(first.job_id)
    before = await bench.blobs.read(bench.jobs, name)
    await bench.publish(second, b"two")
    # As it was stored by an assembler that died before it could see that the name was taken
    await bench.blobs.replace(bench.jobs, name, before or b"")
    job = await bench.records.find(first.job_id)
    assert job
    assert (job.status.state, job.status.result) == ("done", own(first))
    await bench.records.save(job)
    assert await bench.recorded(first) == own(first)
