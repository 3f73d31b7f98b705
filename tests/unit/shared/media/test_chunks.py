"""Chunk files hold exactly the frames and timestamps that were put in."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.errors import ChunkError
from shared.media.chunks import ChunkWriter, read_chunk
from shared.media.encodings import MEZZANINE, SEGMENT


def write(make, pts, duration, *, encoding=MEZZANINE, time_base=Fraction(1, 30000), **options):
    writer = ChunkWriter(encoding, width=64, height=48, time_base=time_base, **options)
    for frame in make.Video(pts=pts).pictures():
        writer.write(frame)
    return writer.close(duration)


def sample_durations(data):
    with av.open(io.BytesIO(data)) as container:
        return [p.duration for p in container.demux(video=0) if p.size]


def test_frames_come_back_in_order_with_their_exact_timestamps(make):
    # Given timestamps of a variable rate
    pts = [0, 1001, 1002, 5000, 90000]
    # When they go through a chunk file
    frames = list(read_chunk(write(make, pts, 91001), frames=5))
    # Then every frame is at its place and time
    assert [frame.pts for frame in frames] == pts
    assert {frame.time_base for frame in frames} == {Fraction(1, 30000)}
    assert [make.number_of(frame) for frame in frames] == [0, 1, 2, 3, 4]


def test_every_frame_lasts_until_the_next_and_the_last_until_the_end(make):
    data = write(make, [0, 1001, 4000], 9007)
    assert sample_durations(data) == [1001, 2999, 5007]


def test_a_chunk_of_one_frame_keeps_its_duration(make):
    assert sample_durations(write(make, [0], 12345)) == [12345]


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.integers(1, 2**21), min_size=1, max_size=12),
    den=st.sampled_from([1, 25, 600, 1000, 11456, 90000, 1_000_000, 27_000_000, 2**31 - 1]),
    num=st.sampled_from([1, 1001]),
)
def test_any_time_base_and_any_steps_are_exact(steps, den, num):
    # Given frames at arbitrary distances, in any time base
    pts = [sum(steps[:i]) for i in range(len(steps))]
    time_base = Fraction(num, den)
    writer = ChunkWriter(MEZZANINE, width=16, height=16, time_base=time_base)
    for at in pts:
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.pts = at
        writer.write(frame)
    # When the file is read, then the times are the same to the last digit
    frames = list(read_chunk(writer.close(sum(steps))))
    assert [f.pts * f.time_base for f in frames] == [at * time_base for at in pts]


def test_a_chunk_is_one_closed_group_of_pictures_without_b_frames(make):
    data = write(make, [i * 1001 for i in range(40)], 40040, encoding=SEGMENT)
    with av.open(io.BytesIO(data)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert [p.is_keyframe for p in packets] == [True] + [False] * 39
    assert all(p.pts == p.dts for p in packets)


def test_frames_are_tagged_bt709_limited(make):
    (frame,) = read_chunk(write(make, [0], 1))
    tags = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    assert tags == (1, 1, 1, 1)


def test_the_shape_of_pixels_is_kept(make):
    data = write(make, [0], 1, sample_aspect_ratio=Fraction(4, 3))
    with av.open(io.BytesIO(data)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_the_same_frames_give_the_same_bytes(make):
    pts = [i * 1001 for i in range(40)]
    assert write(make, pts, 40040) == write(make, pts, 40040)


def test_segments_of_one_video_share_their_parameter_sets(make):
    def parameters(data):
        with av.open(io.BytesIO(data)) as container:
            return container.streams.video[0].codec_context.extradata

    short = write(make, [0], 1, encoding=SEGMENT)
    long = write(make, [i * 300 for i in range(40)], 12000, encoding=SEGMENT)
    assert parameters(short) == parameters(long)


def test_the_mezzanine_is_visually_lossless(make, psnr):
    pictures = list(make.Video(frames=8).pictures())
    copies = read_chunk(write(make, [i * 1001 for i in range(8)], 8008))
    assert min(psnr(a, b) for a, b in zip(pictures, copies, strict=True)) > 44


@pytest.mark.parametrize(
    "pts", [[1], [0, 0], [0, 5, 4], [None]], ids=["late start", "repeated", "backwards", "none"]
)
def test_timestamps_that_do_not_increase_from_zero_are_refused(make, pts):
    writer = ChunkWriter(MEZZANINE, width=64, height=48, time_base=Fraction(1, 25))
    *good, last = make.Video(frames=len(pts)).pictures()
    for frame, at in zip(good, pts, strict=False):
        frame.pts = at
        writer.write(frame)
    last.pts = pts[-1]
    with pytest.raises(ValueError, match="timestamp"):
        writer.write(last)


def test_a_duration_that_ends_before_the_last_frame_is_refused(make):
    with pytest.raises(ValueError, match="ends before"):
        write(make, [0, 1001], 1001)


def test_odd_sizes_and_impossible_time_bases_are_refused():
    with pytest.raises(ValueError, match="even"):
        ChunkWriter(MEZZANINE, width=63, height=48, time_base=Fraction(1, 25))
    with pytest.raises(ValueError, match="tick"):
        ChunkWriter(MEZZANINE, width=64, height=48, time_base=Fraction(1, 2**32))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: bytes(len(data)),
        lambda data: data[:600] + bytes(300) + data[900:],
        lambda data: data.replace(b"avc1", b"xxxx"),
    ],
    ids=["empty", "cut off", "zeros", "hole", "unknown codec"],
)
def test_a_spoilt_file_is_refused_as_a_corrupt_chunk(make, spoil):
    data = write(make, [i * 1001 for i in range(8)], 8008)
    with pytest.raises(ChunkError) as caught:
        list(read_chunk(spoil(data), frames=8))
    assert caught.value.code == "CORRUPT_CHUNK"


@pytest.mark.parametrize("promised", [2, 4])
def test_a_file_with_another_number_of_frames_than_promised_is_refused(make, promised):
    data = write(make, [0, 1001, 2002], 3003)
    with pytest.raises(ChunkError, match="frames"):
        list(read_chunk(data, frames=promised))
