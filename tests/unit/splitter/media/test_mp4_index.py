"""What an MP4's index says of itself: damage in it makes a demuxer show less, and say nothing."""

from __future__ import annotations

import io

import pytest
from videos import Video

from splitter.media.mp4_index import read_index


@pytest.fixture(scope="module")
def data() -> bytes:
    return Video(frames=12).make()


def is_whole(data: bytes) -> bool:
    return read_index(io.BytesIO(data), len(data)).is_whole


def test_a_box_of_a_makers_own_is_no_damage(data: bytes) -> None:
    assert is_whole(data)
    assert is_whole(data.replace(b"stss", b"abcd"))


@pytest.mark.parametrize("name", [b"ctts", b"stss", b"edts", b"stbl"])
def test_a_name_with_one_wrong_letter_is_damage(data: bytes, name: bytes) -> None:
    assert not is_whole(data.replace(name, name[:1] + b"\x9a" + name[2:]))


def test_more_times_than_there_are_samples_are_damage(data: bytes) -> None:
    at = data.index(b"ctts") + 12
    assert not is_whole(data[:at] + b"\0\x5a" + data[at + 2 :])


def test_a_frame_between_the_steps_of_a_constant_rate_is_damage(data: bytes) -> None:
    at = data.index(b"ctts") + 12 + 7
    assert not is_whole(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
    # Where the rate varies, so do the times
    pts = [0, 1001, 1900, 3003, 4100, 5005, 6006, 8000, 9001, 9500]
    assert is_whole(Video(pts=pts).make())


def test_samples_beyond_the_end_of_the_file_are_damage(data: bytes) -> None:
    at = data.index(b"stco") + 12
    assert not is_whole(data[:at] + b"\x40" + data[at + 1 :])


def test_edits_that_show_less_by_a_clock_of_no_muxer_are_damage(data: bytes) -> None:
    at = data.index(b"mvhd") + 16
    ticks = int.from_bytes(data[at : at + 4], "big")
    # Given a clock of which one byte was changed
    odd = (ticks * 10 + 0x100003).to_bytes(4, "big")
    assert not is_whole(data[:at] + odd + data[at + 4 :])
    # And the same edits by another clock that there is: they are those of a trimmed video
    assert is_whole(data[:at] + (ticks * 10).to_bytes(4, "big") + data[at + 4 :])
