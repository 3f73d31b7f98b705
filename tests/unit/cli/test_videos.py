"""What counts as a video on the command line: files, and those of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.videos import find_left_out, find_videos, short_names

STYLES = ["udnie", "the-scream"]


def test_a_folder_means_its_videos_but_not_the_results_of_earlier_runs(tmp_path: Path) -> None:
    for name in ("b.MOV", "a.mp4", "notes.txt", ".hidden.mp4", "b.udnie.mp4", "c.udnie.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "a.mp4.the-scream-strength-70.mp4").touch()

    videos, problems = find_videos([str(tmp_path)], STYLES)

    # c.udnie.mp4 has no source beside it: somebody called a video that.
    assert [video.name for video in videos] == ["a.mp4", "b.MOV", "c.udnie.mp4"]
    assert problems == []


def test_a_video_that_is_named_twice_is_painted_once(tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    clip.touch()
    assert find_videos([str(clip), str(clip)]) == ([clip], [])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("-", "-: a video cannot be read from a pipe; write it into a file first"),
        ("", "a video's name is empty"),
        ("https://example.org/v.mp4", "https://example.org/v.mp4: only files are accepted"),
        ("nowhere.mp4", "nowhere.mp4: no such file"),
        ("/dev/null", "/dev/null is not a file"),
        ("x" * 300, f"{'x' * 300}: File name too long"),
        ("x/" * 3000, "File name too long"),
    ],
)
def test_a_file_that_is_not_a_video_is_one_sentence(word: str, said: str) -> None:
    videos, (problem,) = find_videos([word])
    assert videos == [] or videos == [Path(word)]
    assert said in problem


def test_an_empty_folder_is_a_sentence(tmp_path: Path) -> None:
    assert find_videos([str(tmp_path)]) == (
        [],
        [f"{tmp_path}: there are no videos in this folder"],
    )


def test_a_video_that_is_named_in_two_ways_is_painted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beach.mp4").touch()
    monkeypatch.chdir(tmp_path)
    words = ["beach.mp4", str(tmp_path / "beach.mp4"), f"../{tmp_path.name}/beach.mp4", "."]
    assert find_videos(words) == ([Path("beach.mp4")], [])


@pytest.mark.parametrize("leads_to", ["gone.mp4", "link.mp4"])
def test_a_link_that_leads_nowhere_is_not_called_missing(tmp_path: Path, leads_to: str) -> None:
    link = tmp_path / "link.mp4"
    link.symlink_to(leads_to)
    assert find_videos([str(link)])[1] == [f"{link}: this link leads to no file"]


def test_what_a_folder_holds_besides_videos_is_named(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.udnie.mp4", "loop.gif", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    said = (
        f"{tmp_path}: left out loop.gif, more/, notes.txt; to paint what one of them holds, name it"
    )
    assert find_left_out([str(tmp_path), str(tmp_path / "a.mp4")]) == [said]
    assert find_left_out([str(tmp_path / "more")]) == []
    for number in range(20):
        (tmp_path / f"{number}.jpg").touch()
    assert (
        "14.jpg, 15.jpg, 16.jpg, 17.jpg and 13 more; to paint" in find_left_out([str(tmp_path)])[0]
    )


def test_videos_of_one_name_are_told_apart_by_their_folders() -> None:
    videos = [Path(path) for path in ("a/x/1.mp4", "b/x/1.mp4", "1.mp4", "c/2.mp4", "/d/2.mp4")]
    assert short_names(videos) == ["a/x/1.mp4", "b/x/1.mp4", "1.mp4", "c/2.mp4", "d/2.mp4"]
