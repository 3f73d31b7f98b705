"""Jobs whose results are begun early end like all others."""

from __future__ import annotations

import asyncio
import errno
import io
from pathlib import Path
from typing import Any

import av
import pytest
from assembler_bench import Bench, running, started
from films import CHUNKS, Film, left_in

from assembler import assembly, conclusion, drafts, loop, service
from assembler import mux as mux_module
from assembler.conclusion import Conclusion
from assembler.job import Job
from assembler.mux import Joining, mux
from shared.contracts.layout import manifest_blob, status_blob
from shared.contracts.messages import ChunkFailed, SplitCompleted
from shared.storage.manifests import Stored, fetch_manifest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _published(bench: Bench, film: Film) -> bytes:
    status = await bench.ended(film.job_id)
    assert status.state == "done", status.error
    return await bench.blobs.read(bench.settings.results_container, status.result or "") or b""


async def _begun(bench: Bench, film: Film) -> bool:
    facts = await bench.blobs.facts(bench.settings.frames_container, manifest_blob(film.job_id))
    return facts is not None and facts.metadata.get("assemblies") == "1"


async def _split(bench: Bench, film: Film) -> None:
    """Store and announce what a splitter makes of a film."""
    await bench.hub.by_job(started(film.job_id))
    await film.store_split(bench.blobs, bench.settings.frames_container)
    split = SplitCompleted(job_id=film.job_id, chunks=CHUNKS, frames=4 * CHUNKS)
    await bench.hub.by_job(split)


async def _announce(bench: Bench, film: Film, *chunks: int) -> None:
    await film.store(bench.blobs, bench.settings.segments_container, *chunks)
    for chunk in chunks:
        await bench.hub.by_job(film.ready(chunk))


async def test_a_job_is_begun_and_counted_before_its_last_segment(
    storage_connection: str, eventhub_connection: str, film: Film, tmp_path: Path, work: Path
) -> None:
    async with running(storage_connection, eventhub_connection, work_dir=str(work)) as bench:
        await _split(bench, film)
        await _announce(bench, film, 0, 1)
        await bench.until(lambda: _begun(bench, film))

        await _announce(bench, film, 2)
        assert await _published(bench, film) == film.made(tmp_path)
    assert not left_in(work), "nothing half-made stays behind"


def _damage(film: Film, out: Path) -> None:
    """Flip a bit of the second segment's first picture."""
    with av.open(io.BytesIO(film.segments[1])) as segment:
        picture = bytes(next(segment.demux(video=0)))
    written = bytearray(out.read_bytes())
    written[written.index(picture) + len(picture) // 2] ^= 1
    out.write_bytes(written)


@pytest.mark.parametrize("ahead", [True, False])
async def test_pictures_that_the_disk_has_damaged_are_never_published(
    storage_connection: str,
    eventhub_connection: str,
    film: Film,
    tmp_path: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    ahead: bool,
) -> None:
    # Given a disk that damages what is written to it, ahead or in the end
    class OnDisk(Joining):
        def finish(self) -> str:
            pictures = super().finish()
            _damage(film, next(work.glob("*/result.mp4")))
            return pictures

    monkeypatch.setattr(drafts if ahead else mux_module, "Joining", OnDisk)
    settings = {"work_dir": str(work), "drafts": 1 if ahead else 0}
    async with running(storage_connection, eventhub_connection, **settings) as bench:
        await _split(bench, film)
        await _announce(bench, film, 0, 1, 2)
        if ahead:
            assert await _published(bench, film) == film.made(tmp_path)
            return
        status = await bench.ended(film.job_id)
        assert status.state == "failed"
        assert status.error
        assert status.error.code == "CORRUPT_RESULT"


async def test_a_job_that_fails_leaves_nothing_of_its_draft(
    storage_connection: str, eventhub_connection: str, film: Film, work: Path
) -> None:
    async with running(storage_connection, eventhub_connection, work_dir=str(work)) as bench:
        await _split(bench, film)
        await _announce(bench, film, 0)
        await bench.until(lambda: _is(left_in(work)))
        failed = ChunkFailed(job_id=film.job_id, chunk=1, code="CHUNK_POISONED", message="it hung")
        await bench.hub.by_job(failed)
        assert (await bench.ended(film.job_id)).state == "failed"
        await bench.until(lambda: _is(not left_in(work)))


@pytest.mark.parametrize("meanwhile", ["another assembler follows it", "its user cancels it"])
async def test_a_job_that_was_let_go_or_has_ended_by_now_gets_no_draft(
    storage_connection: str,
    eventhub_connection: str,
    film: Film,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: str,
) -> None:
    # Given storage so slow that a job is let go, or ends, while its manifest is fetched
    assemblers: list[loop.Assembler] = []
    begun: list[drafts.Draft] = []
    prepared = asyncio.Event()

    class Losing(loop.Assembler):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            assemblers.append(self)

    class Begun(drafts.Draft):
        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            begun.append(self)

    async def slowly(*arguments: Any) -> Stored:
        stored = await fetch_manifest(*arguments)
        if meanwhile == "another assembler follows it":
            for partition in ("0", "1"):
                assemblers[0].release(partition)
        else:
            record = await bench.look(film.job_id)
            assert record is not None
            cancelled = record.model_copy(update={"state": "cancelled"}).to_json()
            jobs, name = bench.settings.jobs_container, status_blob(film.job_id)
            facts = await bench.blobs.facts(jobs, name)
            assert facts is not None
            assert await bench.blobs.replace(jobs, name, cancelled, etag=facts.etag)
            await bench.until(lambda: _is(film.job_id not in assemblers[0]._jobs))
        return stored

    def prepare(self: Conclusion, job: Job) -> None:
        begin(self, job)
        prepared.set()

    begin = Conclusion.prepare
    monkeypatch.setattr(service, "Assembler", Losing)
    monkeypatch.setattr(conclusion, "Draft", Begun)
    monkeypatch.setattr(loop, "fetch_manifest", slowly)
    monkeypatch.setattr(Conclusion, "prepare", prepare)
    async with running(storage_connection, eventhub_connection, work_dir=str(work)) as bench:
        await _split(bench, film)
        await prepared.wait()
        assert not begun, "nothing would discard it"


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

    def beside_nothing(*arguments: object) -> str:
        if len(left_in(work)) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return mux(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(assembly, "mux", beside_nothing)
    settings = {"work_dir": str(work), "drafts": 1}
    async with running(storage_connection, eventhub_connection, **settings) as bench:
        for one in (other, film):
            await _split(bench, one)
            await _announce(bench, one, 0)
            await bench.until(lambda: _is(left_in(work)))
        # When a job is complete that has no draft
        await _announce(bench, film, 1, 2)
        assert await _published(bench, film) == film.made(tmp_path)
        # Then both have their results
        await _announce(bench, other, 1, 2)
        assert await _published(bench, other) == other.made(tmp_path / "other")


async def _is(truth: object) -> bool:
    return bool(truth)
