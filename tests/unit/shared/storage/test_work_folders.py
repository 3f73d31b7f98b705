"""Folders left by killed processes are removed at the next start; those in use are kept."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.storage.work_folders import sweep_work_folders, work_folder

ROOT = Path(__file__).resolve().parents[4]
HOLD = """
import sys, time
import pytest

from shared.storage.work_folders import work_folder
with work_folder(sys.argv[1]) as folder:
    (folder / "side").write_bytes(bytes(1000))
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_gone_with_its_work(tmp_path: Path) -> None:
    with work_folder(str(tmp_path)) as folder:
        (folder / "side").write_bytes(b"tracks")
        assert sweep_work_folders(str(tmp_path)) == 0
        assert (folder / "side").read_bytes() == b"tracks"
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_processes_are_swept_and_those_in_use_are_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "somebody-elses").mkdir()
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for holder in holders:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
    assert sweep_work_folders(str(tmp_path)) == 0
    holders[0].kill()
    holders[0].wait()
    assert sweep_work_folders(str(tmp_path)) == 1
    assert len(list(tmp_path.iterdir())) == 2
    holders[1].kill()
    holders[1].wait()
    for holder in holders:
        assert holder.stdout is not None
        holder.stdout.close()


def test_a_folder_is_swept_if_its_process_was_killed_while_making_or_removing_it(
    tmp_path: Path,
) -> None:
    with work_folder(str(tmp_path)) as folder:
        made = folder.name
    (tmp_path / made).mkdir()
    assert sweep_work_folders(str(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_swept_while_it_is_made(tmp_path: Path) -> None:
    ended = threading.Event()

    def work() -> None:
        for _ in range(200):
            with work_folder(str(tmp_path)) as folder:
                (folder / "side").write_bytes(b"tracks")

    def sweep() -> None:
        while not ended.is_set():
            sweep_work_folders(str(tmp_path))

    with ThreadPoolExecutor() as pool:
        workers = [pool.submit(work) for _ in range(3)]
        sweeper = pool.submit(sweep)
        try:
            for worker in workers:
                worker.result()
        finally:
            ended.set()
        sweeper.result()
    assert list(tmp_path.iterdir()) == []


def test_work_does_not_fail_because_its_folder_cannot_be_removed(tmp_path: Path) -> None:
    with work_folder(str(tmp_path)) as folder:
        folder.rename(tmp_path / "moved")
        folder.write_bytes(b"no folder")


def test_a_file_that_is_gone_while_its_folder_is_removed_leaves_nothing_else_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def unlink_twice(name: str, *, dir_fd: int | None = None) -> None:
        unlink(name, dir_fd=dir_fd)
        unlink(name, dir_fd=dir_fd)

    with work_folder(str(tmp_path)) as folder:
        for name in ("one", "two"):
            (folder / name).touch()
        monkeypatch.setattr(os, "unlink", unlink_twice)
    assert list(tmp_path.iterdir()) == []
