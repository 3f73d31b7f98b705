"""Where results go: names are deterministic, fit the file system, and replace nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.disk import Disk
from cli.results import (
    LONGEST_NAME_BYTES,
    Output,
    fetch_target,
    find_result_problems,
    plan_targets,
    result_names,
)
from client.drafts import LONGEST_ENDING


def names(*videos: str) -> list[str]:
    return result_names([Path(video) for video in videos], "udnie")


def test_a_result_is_named_after_its_video_and_style() -> None:
    assert names("clip.mov", "other.mkv") == ["clip.udnie", "other.udnie"]


def test_videos_of_one_stem_keep_their_endings_in_any_order() -> None:
    assert names("clip.mp4", "clip.mov") == ["clip.mp4.udnie", "clip.mov.udnie"]
    assert names("clip.mov", "clip.mp4") == ["clip.mov.udnie", "clip.mp4.udnie"]


def test_videos_of_one_name_are_numbered() -> None:
    assert names("a/x.mp4", "b/x.mp4", "c/x.mp4") == [
        "x.mp4.udnie",
        "x.mp4-2.udnie",
        "x.mp4-3.udnie",
    ]


def test_results_stay_apart_on_disks_that_do_not_distinguish_case() -> None:
    assert names("clip.mp4", "Clip.mov") == ["clip.mp4.udnie", "Clip.mov.udnie"]
    assert names("x.MP4", "x.mp4") == ["x.MP4.udnie", "x.mp4-2.udnie"]
    assert names("\u00e9.mp4", "e\u0301.mp4") == ["\u00e9.mp4.udnie", "e\u0301.mp4-2.udnie"]


@pytest.mark.parametrize("letter", ["x", "日"])
def test_long_names_are_cut_between_characters_and_stay_apart(letter: str) -> None:
    long = letter * (251 // len(letter.encode()))
    first, second = names(f"{long}.mp4", f"{long}.mov")
    assert first != second
    for name in (first, second):
        assert name.startswith(letter * 70)
        assert name.endswith(".udnie")
        assert len(os.fsencode(f"{name}.mp4")) + LONGEST_ENDING <= LONGEST_NAME_BYTES


def test_a_result_takes_the_ending_that_it_has_and_finds_what_it_would_replace(
    tmp_path: Path,
) -> None:
    (target,), problems = plan_targets(Output(str(tmp_path)), [Path("clip.v2.mp4")], "udnie")
    assert problems == []
    assert target.existing is None
    assert target.file("whatever.mkv") == tmp_path / "clip.v2.udnie.mkv"
    target.file("whatever.mkv").touch()
    assert target.existing == tmp_path / "clip.v2.udnie.mkv"


def test_a_fetched_result_keeps_its_name_in_storage(tmp_path: Path) -> None:
    folder = Output(str(tmp_path))
    assert fetch_target(folder, "trip/beach.udnie.mp4").file("trip/beach.udnie.mp4") == (
        tmp_path / "beach.udnie.mp4"
    )
    mine = Output(str(tmp_path / "mine.mkv"))
    assert fetch_target(mine, "beach.udnie.mp4").file("beach.udnie.mp4") == (tmp_path / "mine.mp4")


def test_a_slash_at_the_end_makes_a_folder_of_a_name(tmp_path: Path) -> None:
    new = Output(f"{tmp_path}/a/new/")
    (target,), problems = plan_targets(new, [Path("clip.mp4")], "udnie")
    assert problems == []
    assert not (tmp_path / "a").exists()
    target.make_folder()
    assert target.file("x.mp4") == tmp_path / "a/new/clip.udnie.mp4"
    assert target.folder.is_dir()

    (tmp_path / "file.mp4").touch()
    (problem,) = find_result_problems(Output(f"{tmp_path}/file.mp4/"))
    assert problem == f"-o {tmp_path}/file.mp4/: {tmp_path}/file.mp4 is not a folder"
    (problem,) = find_result_problems(Output(f"{tmp_path}/a/newer"))
    assert problem.endswith("its name must end in .mp4 or .mkv; a new folder's, in a slash")


def test_however_long_a_style_is_a_name_fits(tmp_path: Path) -> None:
    [name] = result_names([tmp_path / "beach.mp4"], "x" * 900)
    assert len(f"{name}.mp4") + LONGEST_ENDING <= LONGEST_NAME_BYTES
    assert name.startswith("beach.xxx")


@pytest.mark.parametrize("letter", ["x", "日"])
def test_a_file_without_room_for_its_draft_is_refused_before_painting(
    tmp_path: Path, letter: str
) -> None:
    def problems(size: int) -> list[str]:
        name = letter * (size // len(letter.encode()))
        return find_result_problems(Output(str(tmp_path / f"{name}.mp4")))

    assert problems(237) == []
    for size in (240, 251, 300):
        [problem] = problems(size)
        assert problem.endswith(": the file's name is longer than 243 bytes")


def test_a_full_disk_is_refused_before_painting(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "disk")
    with disk.mounted():
        if not disk.small:
            pytest.skip("this user may not mount a disk to fill")
        assert find_result_problems(Output(f"{disk.folder}/new/")) == []
        disk.fill()
        for output in (f"{disk.folder}/", f"{disk.folder}/new/", f"{disk.folder}/clip.mp4"):
            assert find_result_problems(Output(output)) == [
                f"-o {output}: cannot write into {disk.folder}: No space left on device"
            ]


def test_an_ending_keeps_the_case_in_which_it_was_typed(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "Beach.MP4"))
    [target], problems = plan_targets(output, [Path("beach.mov")], "udnie")
    assert problems == []
    assert target.possible == [tmp_path / "Beach.MP4", tmp_path / "Beach.mkv"]
    for found in (target, fetch_target(output, "beach.udnie.mp4")):
        assert found.file("beach.udnie.mp4") == tmp_path / "Beach.MP4"
        assert found.file("beach.udnie.mkv") == tmp_path / "Beach.mkv"
