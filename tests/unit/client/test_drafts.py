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
