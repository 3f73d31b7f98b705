"""Frames that a damaged file lost are noticed by those that are left, and intact files are not
suspected: cameras leave frames out, and program streams give times to few frames alone."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from videos import Sound, Video, number_picture, packets

STEPS = [n * 33 for n in range(60)]
STEADY = STEPS[:20]


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
    video = Video(
        frames=len(stamps), time_base=Fraction(1, 1000), pts=STEADY[: len(stamps)],
        options={"bf": "0"},
    )  # fmt: skip
    file = io.BytesIO()
    with av.open(io.BytesIO(video.make())) as source, av.open(file, "w", format="nut") as target:
        track = target.add_stream_from_template(source.streams.video[0])
        stored = [packet for packet in source.demux() if packet.size]
        for packet, stamp in zip(stored, stamps, strict=True):
            packet.pts = 1000 + stamp  # (A decoding time may not be that of the frame before.)
            packet.stream = track
            target.mux(packet)
    found = split_video(file.getvalue())
    assert found.end.frames == len(stamps)
    assert found.end.damaged is damaged
    assert any("constant frame rate" in said for said in found.end.warnings) is damaged


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_join_between_b_frames_is_no_sign_of_loss(split_video, container):
    # Given two parts of a video, joined without encoding: the first ends between B-frames, and the
    # second begins with frames before its cut, which others need. They get later times, tick by
    # tick, as FFmpeg gives them
    options = {"bf": "3", "g": "30", "x264-params": "b-adapt=0:scenecut=0"}
    data = Video(frames=60, time_base=Fraction(1, 1000), pts=STEPS, options=options).make()
    file, last = io.BytesIO(), -1000
    with av.open(file, "w", format=container, options={"video_track_timescale": "1000"}) as target:
        track = None
        for until, shift in ((24 * 33, 0), (60 * 33, 24 * 33 - 9 * 33)):
            with av.open(io.BytesIO(data)) as source:
                track = track or target.add_stream_from_template(source.streams.video[0])
                for packet in source.demux():
                    if packet.size and packet.dts < until:
                        last = packet.dts = max(packet.dts + shift, last + 1)
                        packet.pts = max(packet.pts + shift, last)
                        packet.stream = track
                        target.mux(packet)
    stored = len(packets(file.getvalue(), "video"))
    found = split_video(file.getvalue())
    assert (found.end.frames, found.end.damaged) == (stored, False)
    assert any("moved by one tick" in said for said in found.end.warnings)


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


HAS_CONTENT = 0x20
"""The bit of the sixth byte of an MPEG-4 picture, at 30 ticks a second, that says so."""


def mpeg4(kind: str, **options: str) -> bytes:
    return Video(
        frames=12, format=kind, codec="mpeg4", time_base=Fraction(1, 30), pts=range(12),
        options=options,
    ).make()  # fmt: skip


def stored(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def hiding_content(picture: bytes) -> bytes:
    return picture[:5] + bytes([picture[5] & ~HAS_CONTENT]) + picture[6:]


def without_content(picture: bytes, *more: int) -> bytes:
    """Return the header of a picture that repeats the one before."""
    return picture[:5] + bytes([picture[5] & 0xC0 | 0x0F, *more])


@pytest.mark.parametrize("kind", ["avi", "matroska", "mp4", "mpegts"])
def test_a_picture_of_mpeg_4_whose_header_hides_its_content_is_noticed(split_video, kind):
    data = mpeg4(kind)
    assert not split_video(data).end.damaged
    at = data.index(stored(data)[5])
    found = split_video(data[:at] + hiding_content(data[at:]))
    assert found.end.frames == 11
    assert "1 of 12 video packets could not be decoded" in found.end.warnings


def rewritten(data: bytes, pictures: list[bytes]) -> bytes:
    """Return an AVI with the same header and other pictures."""
    file = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(file, "w", format="avi") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for number, picture in enumerate(pictures):
            packet = av.Packet(picture)
            packet.pts = packet.dts = number
            packet.is_keyframe = number == 0
            packet.stream, packet.time_base = stream, Fraction(1, 30)
            container.mux(packet)
    return file.getvalue()


def test_pictures_of_mpeg_4_that_repeat_the_one_before_are_no_damage(split_video):
    # Given such as encoders write them, with and without what they are filled up with
    data = mpeg4("avi")
    pictures = stored(data)
    padding = {3: b"", 5: b"\x7f", 7: b"\x7f\0\0\0\0\0", 9: b"\0\0\1\xb2comment"}
    for number, more in padding.items():
        pictures[number] = without_content(pictures[number], *more)
    found = split_video(rewritten(data, pictures))
    assert found.end.frames == 8
    assert not found.end.damaged


@pytest.mark.parametrize("hidden", [False, True])
def test_pictures_of_mpeg_4_may_share_a_packet(split_video, hidden):
    # Given B-frames packed as in DivX: with the next P-frame, before a packet without content
    first, *others = stored(data := mpeg4("avi", bf="1", b_strategy="0"))
    picture = b"\0\0\1\xb6"
    packed = [first.replace(picture, b"\0\0\1\xb2DivX503b1393p" + picture)]
    between = others[1::2]
    if hidden:
        between[2] = hiding_content(between[2])
    for forward, back in zip(others[::2], between, strict=False):
        packed += [forward + back, without_content(forward)]
    found = split_video(rewritten(data, packed))
    assert found.end.frames == len(packed) - hidden
    assert found.end.damaged is hidden
