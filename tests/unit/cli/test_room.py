"""A disk without room for the videos is named before anything is uploaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.commands import submit
from cli.main import main
from cli.room import LITTLE_ROOM, doubt_about_results, find_room_problems, shortage
from client import Account
from local import azurite


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(bytes(2_000_000))
    return path


def leave_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))


def test_videos_that_fit_are_no_problem(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_room_problems([video], tmp_path / "not/made/yet") == []
    leave_free(monkeypatch, 4_000_000)
    assert find_room_problems([video, video], tmp_path) == []


def test_videos_that_do_not_fit_are_refused_with_the_remedy(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_free(monkeypatch, 1_500_000)
    (problem,) = find_room_problems([video], tmp_path)
    assert problem.startswith(f"{video} takes 2.0 MB, and the pipeline keeps uploads in {tmp_path}")
    assert problem.endswith("where 1.5 MB are free: make room there")
    (problem,) = find_room_problems([video, video], tmp_path)
    assert problem.startswith("the 2 videos take 4.0 MB, and ")


def test_a_folder_with_less_room_than_the_videos_take_may_be_too_small_for_results(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doubt_about_results([video], tmp_path) == ""
    leave_free(monkeypatch, 1_500_000)
    assert doubt_about_results([video], tmp_path) == (
        f"{video} takes 2.0 MB, and only 1.5 MB are free in {tmp_path}: results may not fit there"
    )


@pytest.mark.usefixtures("bare_environment")
def test_a_stack_on_this_machine_without_room_is_sent_nothing(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Storage at this address could not be reached
    account = Account(azurite.connection_string(1), directory=tmp_path)
    monkeypatch.setattr(submit, "find_account", lambda _: account)
    leave_free(monkeypatch, 1_500_000)
    with pytest.raises(SystemExit) as ended:
        main(["submit", str(video)])
    assert ended.value.code == 2
    assert f"the pipeline keeps uploads in {tmp_path}" in capsys.readouterr().err


def test_whoever_waits_hears_of_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_free(monkeypatch, LITTLE_ROOM)
    assert shortage(tmp_path) == ""
    leave_free(monkeypatch, LITTLE_ROOM - 1)
    assert shortage(tmp_path).startswith(f"only 67.1 MB are free in {tmp_path}; make room there")
