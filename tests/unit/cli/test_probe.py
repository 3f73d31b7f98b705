"""What can be read from a file before it is uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.probe import expected_frames
from local.defaults import SAMPLE
from shared.contracts.errors import SourceRefused
from shared.contracts.style_request import StyleRequest


@pytest.mark.parametrize(
    ("part", "frames"),
    [
        ({}, 300),
        ({"start": 4.0}, 180),
        ({"start": 9.0, "duration": 5.0}, 30),
        ({"duration": 1.0, "max_frames": 8}, 8),
        ({"start": 99.0}, 1),
    ],
)
def test_a_video_promises_the_frames_of_the_part_that_is_asked_for(
    part: dict[str, float], frames: int
) -> None:
    assert expected_frames(SAMPLE, StyleRequest(style="udnie", **part)) == frames


def test_a_text_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("dear diary " * 50)
    with pytest.raises(SourceRefused):
        expected_frames(text, StyleRequest(style="udnie"))
