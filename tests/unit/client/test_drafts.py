"""A file is replaced by a complete one, or stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from client.drafts import written_whole
from shared.contracts.errors import StylestreamError


def test_what_breaks_off_while_it_is_written_leaves_the_file_before(tmp_path: Path) -> None:
    def write(*, whole: bool) -> None:
        with written_whole(tmp_path / "x.png") as draft:
            draft.write_text("half")
            if not whole:
                raise OSError(errno.ENOSPC, "No space left on device")
            draft.write_text("whole")

    write(whole=True)
    with pytest.raises(StylestreamError, match=r"cannot write .*x\.png: No space left on device"):
        write(whole=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def test_two_writers_of_one_file_have_a_draft_each_and_the_second_replaces_nothing(
    tmp_path: Path,
) -> None:
    def write(text: str, *meanwhile: str) -> None:
        with written_whole(tmp_path / "x.png", replace=False) as draft:
            draft.write_text(text)
            for other in meanwhile:
                write(other)

    with pytest.raises(StylestreamError, match=r"x\.png exists by now"):
        write("first to begin", "first to end")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["first to end"]


def test_a_folder_that_goes_meanwhile_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    with (
        pytest.raises(StylestreamError, match=r"cannot write .*x\.png: No such file or directory"),
        written_whole(folder / "x.png"),
    ):
        folder.rmdir()
