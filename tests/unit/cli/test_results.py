"""Where results go: names that do not depend on luck, fit, and replace nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli.results import fetch_target, plan_targets, result_names


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


@pytest.mark.parametrize("letter", ["x", "日"])
def test_long_names_are_cut_between_characters_and_stay_apart(letter: str) -> None:
    long = letter * (251 // len(letter.encode()))
    first, second = names(f"{long}.mp4", f"{long}.mov")
    assert first != second
    for name in (first, second):
        assert name.startswith(letter * 70)
        assert name.endswith(".udnie")
        assert len(os.fsencode(f"{name}.mp4.part")) <= 255


def test_a_result_takes_the_ending_that_it_has_and_finds_what_it_would_replace(
    tmp_path: Path,
) -> None:
    (target,), problems = plan_targets(tmp_path, [Path("clip.v2.mp4")], "udnie")
    assert problems == []
    assert target.existing is None
    assert target.file("whatever.mkv") == tmp_path / "clip.v2.udnie.mkv"
    target.file("whatever.mkv").touch()
    assert target.existing == tmp_path / "clip.v2.udnie.mkv"


def test_a_fetched_result_keeps_its_name_in_storage(tmp_path: Path) -> None:
    assert fetch_target(tmp_path, "trip/beach.udnie.mp4").file("trip/beach.udnie.mp4") == (
        tmp_path / "beach.udnie.mp4"
    )
    assert fetch_target(tmp_path / "mine.mkv", "beach.udnie.mp4").file("beach.udnie.mp4") == (
        tmp_path / "mine.mp4"
    )
