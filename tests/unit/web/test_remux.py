"""A browser gets exactly the painted frames, each at its tick."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest
from videos import Video, number_of

from shared.contracts.errors import ChunkError
from splitter.media.split import SplitOptions
from web.live.remux import codec_of, init_fragment, media_fragment


def played(stream: bytes) -> list[tuple[int, Fraction, int]]:
    """Decode what a browser was given: tick, its length, and the number that the frame shows."""
    with av.open(io.BytesIO(stream), "r", format="mp4") as container:
        return [
            (frame.pts, frame.time_base, number_of(frame)) for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize(
    "video",
    [
        Video(frames=70),
        Video(frames=20, pts=[0, 1, 900, 901, *range(5000, 21000, 1000)]),
        Video(frames=20, time_base=Fraction(1, 90000), format="mpegts"),
    ],
    ids=["29.97 a second", "irregular", "transport stream"],
)
def test_fragments_play_every_frame_at_its_exact_time(split_video, video):
    split = split_video(video.make(), SplitOptions(chunk_frames=16, first_chunk_frames=8))
    segments = split.segments()

    stream = init_fragment(segments[0])
    for encoded, segment in zip(split.chunks, segments, strict=True):
        stream += media_fragment(segment, encoded.chunk.first_pts, encoded.chunk.index)

    expected = [(f.pts, number_of(f)) for f in split.frames()]
    assert [(tick, number) for tick, _, number in played(stream)] == expected
    assert {tick for _, tick, _ in played(stream)} == {split.source.time_base}


def test_every_segment_of_a_job_has_the_same_header(split_video):
    split = split_video(Video(frames=40).make(), SplitOptions(chunk_frames=16))

    assert len({init_fragment(segment) for segment in split.segments()}) == 1


def test_a_fragment_can_be_played_without_those_before_it(split_video):
    split = split_video(Video(frames=40).make(), SplitOptions(chunk_frames=16))
    segment, chunk = split.segments()[1], split.chunks[1].chunk

    stream = init_fragment(segment) + media_fragment(segment, chunk.first_pts, chunk.index)

    assert [number for _, _, number in played(stream)] == list(range(16, 32))
    assert played(stream)[0][0] == chunk.first_pts


def test_the_codec_is_named_as_browsers_do(split_video):
    split = split_video(Video(frames=4, size=(640, 360)).make())

    assert codec_of(split.segments()[0]).startswith("avc1.64")


def test_anything_but_a_segment_is_refused():
    with pytest.raises(ChunkError, match="cannot be read"):
        media_fragment(b"no video at all", 0, 0)
