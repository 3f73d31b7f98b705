"""Frames that a damaged file lost are noticed by those that are left, and intact files are not
suspected: cameras leave frames out, and program streams give times to few frames alone."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from videos import Sound, Video, number_picture

STEADY = [n * 33 for n in range(20)]


@pytest.mark.parametrize(
    ("stamps", "damaged"),
    [
        (STEADY, False),
        # A recorder that leaves frames out, one that gives two the same time, one without a rate
        ([t for t in STEADY if t not in (231, 363, 396)], False),
        ([165 if t == 198 else t for t in STEADY if t not in (231, 264)], True),
        ([t if t < 330 else t - 33 for t in STEADY], False),
        ([0, 20, 90, 90, 130, 240, 300, 500, 520, 600], False),
    ],
    ids=["whole", "left out", "doubled and left out", "doubled", "varied"],
)
def test_gaps_are_damage_only_beside_times_that_were_given_twice(split_video, stamps, damaged):
    data = Video(
        frames=len(stamps), format="matroska", time_base=Fraction(1, 1000), stamps=stamps,
        pts=STEADY[: len(stamps)], options={"bf": "0"},
    ).make()  # fmt: skip
    found = split_video(data)
    assert found.end.frames == len(stamps)
    assert found.end.damaged is damaged
    assert any("constant frame rate" in said for said in found.end.warnings) is damaged


def noisy(number, width, height):
    noise = np.random.default_rng(number).integers(-10, 11, (height, width))
    return np.clip(number_picture(number, width, height) + noise, 0, 255).astype(np.uint8)


def test_times_given_to_the_frame_before_are_no_sign_of_loss(split_video):
    # Given a program stream of small pictures: many of them share a packet, which has one time, and
    # FFmpeg takes that for an earlier one's where a picture begins in the packet before
    data = Video(
        frames=48, size=(176, 144), format="mpeg", codec="mpeg1video", draw=noisy,
        time_base=Fraction(1, 25), pts=range(48), options={"bf": "0", "g": "12"},
        sounds=[Sound("mp2", duration_s=1.9)],
    ).make()  # fmt: skip
    found = split_video(data)
    assert found.end.frames == 48
    assert not found.end.damaged


@pytest.mark.parametrize("first", [True, False])
def test_a_key_picture_of_a_program_stream_without_its_start_code_is_noticed(split_video, first):
    # Given the first one, which no frame precedes, or one in a packet with others
    data = Video(
        frames=20, format="vob", codec="mpeg2video", time_base=Fraction(1, 30), pts=range(20),
        options={"g": "12"}, sounds=[Sound("mp2", duration_s=0.5)],
    ).make()  # fmt: skip
    assert not split_video(data).end.damaged
    sequence, picture = b"\0\0\1\xb3", b"\0\0\1\0"
    at = data.index(sequence)
    at = data.index(picture, at if first else data.index(sequence, at + 1))
    found = split_video(data[: at + 1] + b"\x7e" + data[at + 2 :])
    assert found.end.frames == 19
    assert "1 of 20 video packets could not be decoded" in found.end.warnings


def test_a_last_frame_that_a_nut_lost_after_a_long_step_is_noticed(split_video):
    data = Video(
        format="nut", time_base=Fraction(1, 30), pts=[*range(10), 19, 20], options={"bf": "0"}
    ).make()
    assert not split_video(data).end.damaged
    with av.open(io.BytesIO(data)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    found = split_video(data[: ends[-2]] + data[data.index(b"NX\xdd\x67") :])
    assert found.end.frames == 11
    assert found.end.damaged


def test_a_picture_of_vp8_that_became_one_that_is_not_shown_is_noticed(split_video):
    # Given a picture whose first byte was changed: its version, and whether it is shown
    data = Video(
        frames=12, format="webm", codec="libvpx", options={"deadline": "realtime"},
        time_base=Fraction(1, 30), pts=range(12),
    ).make()  # fmt: skip
    with av.open(io.BytesIO(data)) as container:
        fifth = [bytes(packet) for packet in container.demux(video=0) if packet.size][5]
    at = data.index(fifth)
    spoilt = data[:at] + bytes([0xCF]) + data[at + 1 :]
    assert not split_video(data).end.damaged
    # Then it is missing, and that is told
    found = split_video(spoilt)
    assert found.end.frames == 11
    assert found.end.damaged


def test_a_picture_of_a_broadcast_that_became_part_of_the_next_is_noticed(split_video):
    data = Video(frames=20, format="mpegts").make()
    assert not split_video(data).end.damaged
    # Given a picture whose slice has lost its start code
    at = data.index(b"\0\0\1\xe0", len(data) // 2)
    at = data.index(b"\0\0\1", data.index(b"\0\0\1", at + 4) + 3)
    found = split_video(data[: at + 2] + b"\xf1" + data[at + 3 :])
    assert found.end.frames == 19
    assert found.end.damaged
