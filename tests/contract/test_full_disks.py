"""A disk that is full for a while costs time; one that stays full costs the jobs that need it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from assembler_bench import running
from films import Film, bring
from splits_bench import bench_of
from videos import Sound, Video

from chaos.disk import Disk
from shared.contracts.status import Status
from shared.storage import work_folders

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "work")
    with disk.mounted():
        if not disk.small:
            pytest.skip("this user may not mount a disk to fill")
        yield disk


_KILLED = """
import os, pathlib, sys
from chaos.disk import Disk
mounted = Disk(pathlib.Path(sys.argv[1])).mounted()
mounted.__enter__()
os._exit(not os.path.ismount(sys.argv[1]))
"""


async def test_a_disk_whose_process_was_killed_is_unmounted_by_the_next(
    disk: Disk, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    # (Whoever mounts a disk on this machine, as tests do in other processes, is the next.)
    command = [sys.executable, "-c", _KILLED, left]
    await asyncio.to_thread(subprocess.run, command, check=True)
    with Disk(tmp_path / "next").mounted():
        assert not left.is_mount()
        assert disk.folder.is_mount()


async def test_a_result_waits_for_room_in_its_work_folder_and_its_record_says_so(
    storage_connection: str, eventhub_connection: str, tmp_path: Path, disk: Disk
) -> None:
    film = Film(tmp_path)
    disk.fill()
    work = str(disk.folder)
    async with running(storage_connection, eventhub_connection, work_dir=work) as bench:
        await bring(bench, film)

        async def waiting() -> bool:
            status = await bench.look(film.job_id)
            reason = status and status.waiting and status.waiting.reason
            return reason == "space in the assembler's work folder"

        await bench.until(waiting)
        disk.free()
        status = await bench.ended(film.job_id)
        assert status.state == "done", status.error
        assert status.waiting is None
        result = await bench.blobs.read(bench.settings.results_container, status.result or "")
    assert result == film.made(tmp_path)


@pytest.mark.parametrize("sooner", [True, False])
async def test_room_counts_from_the_moment_at_which_something_did_not_fit(
    disk: Disk, *, sooner: bool
) -> None:
    disk.fill()
    folder = str(disk.folder)
    before = work_folders.free_bytes(folder)
    if sooner:
        disk.free()
    waiting = asyncio.create_task(work_folders.more_space(folder, before, asyncio.Event()))
    await asyncio.sleep(0)
    disk.free()
    async with asyncio.timeout(work_folders.FULL_S / 2):
        assert await waiting


async def test_a_result_that_finds_no_room_fails_and_leaves_nothing_there(
    storage_connection: str,
    eventhub_connection: str,
    tmp_path: Path,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work_folders, "FULL_S", 0.0)
    film, found = Film(tmp_path), list[Status]()
    disk.fill()
    work = str(disk.folder)
    async with running(storage_connection, eventhub_connection, work_dir=work) as bench:
        await bring(bench, film)
        found.append(await bench.ended(film.job_id))
        disk.free()
    assert found[0].error
    assert found[0].error.code == "NO_SPACE"
    assert "WORK_DIR" in found[0].error.message
    assert list(disk.folder.iterdir()) == []


async def test_a_full_disk_costs_the_splitter_time_and_then_the_videos_that_need_it(
    storage_connection: str,
    eventhub_connection: str,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loud = Video(frames=16, sounds=[Sound()]).make()
    work = str(disk.folder)
    async with (
        bench_of(storage_connection, eventhub_connection, work_dir=work, splits=1) as bench,
        bench.splitting(),
    ):
        disk.fill()
        waiting = await bench.job("waits.mp4", await bench.put("waits.mp4", loud))

        async def waits() -> bool:
            split = await bench.progress(waiting.job_id)
            return split is not None and split.waiting_for == "space in the splitter's work folder"

        await bench.until(waits)
        disk.free()
        assert (await bench.sealed(waiting.job_id)).side is not None

        monkeypatch.setattr(work_folders, "FULL_S", 0.0)
        disk.fill()
        await bench.put("loud.mp4", loud)

        async def failed() -> bool:
            return bench.failed() == {"NO_SPACE"}

        await bench.until(failed)
        # What is beside the picture needs room; the picture itself does not
        silent = await bench.job("silent.mp4", await bench.upload("silent.mp4", 8))
        assert (await bench.sealed(silent.job_id)).frames == 8
        disk.free()
    assert list(disk.folder.iterdir()) == []


async def test_a_video_waits_for_a_disk_with_no_room_for_a_folder(
    storage_connection: str, eventhub_connection: str, disk: Disk
) -> None:
    async def allow(files: int) -> None:
        options = ["-o", f"remount,nr_inodes={files}", str(disk.folder)]
        await asyncio.to_thread(subprocess.run, ["mount", *options], check=True)

    work = str(disk.folder)
    async with (
        bench_of(storage_connection, eventhub_connection, work_dir=work, splits=1) as bench,
        bench.splitting(),
    ):
        disk.fill()
        # The disk's own folder and what fills it
        await allow(2)
        job = await bench.job("waits.mp4", await bench.upload("waits.mp4", 8))

        async def waits() -> bool:
            assert not bench.failed()
            split = await bench.progress(job.job_id)
            return split is not None and split.waiting_for == "space in the splitter's work folder"

        await bench.until(waits)
        await allow(1000)
        disk.free()
        assert (await bench.sealed(job.job_id)).frames == 8
    assert list(disk.folder.iterdir()) == []
