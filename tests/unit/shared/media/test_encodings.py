"""Every codec's segments are exact, can be joined, and have the requested quality."""

from __future__ import annotations

import io
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer

from shared.contracts.style_request import Codec, StyleRequest
from shared.media.chunks import ChunkWriter, open_chunk, read_chunk
from shared.media.containers import add_copy
from shared.media.encodings import MEZZANINE, segment_encoding, smallest_side

CODECS: tuple[Codec, ...] = ("h264", "hevc", "av1")


def segment(make: Any, pts: list[int], bit_depth: int = 8, **request: Any) -> bytes:
    encoding = segment_encoding(StyleRequest(style="udnie", **request), bit_depth)
    writer = ChunkWriter(encoding, width=64, height=48, time_base=Fraction(1, 30000))
    for frame in make.Video(pts=pts).pictures():
        writer.write(frame)
    return writer.close(pts[-1] + 1001)


def looked_at(data: bytes) -> tuple[str, bytes, list[tuple[int, bool]]]:
    """Return pixel format, parameter sets, and time and kind of every packet."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        parameters = bytes(context.extradata or b"")
        packets = [(p.pts or 0, p.is_keyframe) for p in container.demux(stream) if p.size]
        return context.format.name, parameters, packets


@pytest.mark.parametrize("codec", CODECS)
def test_a_segment_is_one_closed_group_with_exact_times_and_repeats(make: Any, codec: str) -> None:
    pts = [0, 1001, 1002, 5000, *range(6000, 40000, 1001)]
    data = segment(make, pts, codec=codec)
    _, _, packets = looked_at(data)
    assert packets == [(at, at == 0) for at in pts]
    assert [frame.pts for frame in read_chunk(data, frames=len(pts))] == pts
    assert segment(make, pts, codec=codec) == data


@pytest.mark.parametrize("codec", CODECS)
def test_short_and_long_segments_share_their_parameter_sets(make: Any, codec: str) -> None:
    short, long = (
        segment(make, [0], codec=codec),
        segment(make, [*range(0, 9999, 300)], codec=codec),
    )
    assert looked_at(short)[1] == looked_at(long)[1] != b""


def copied(container: InputContainer) -> bytes:
    """Return a copy of a segment, as results and live segments are made of them."""
    file = io.BytesIO()
    options = {"fflags": "+bitexact"}
    with container, av.open(file, "w", format="mp4", options=options) as output:
        copy = add_copy(output, container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("codec", CODECS)
def test_a_segment_is_opened_without_decoding_and_copied_all_the_same(
    make: Any, codec: str
) -> None:
    data = segment(make, [0, 1001, 2002], codec=codec)
    decoded = av.open(io.BytesIO(data), "r", format="mp4")
    if codec == "h264":
        # The pixel format of H.264 is known only once a frame was decoded.
        formats = [f.streams.video[0].codec_context.pix_fmt for f in (open_chunk(data), decoded)]
        assert formats == [None, "yuv420p"]
    assert copied(open_chunk(data)) == copied(decoded)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other schedulers")
@pytest.mark.parametrize("codec", CODECS)
def test_no_thread_is_given_priority_over_the_rest_of_the_machine(make: Any, codec: str) -> None:
    encoding = segment_encoding(StyleRequest(style="udnie", codec=codec))
    writer = ChunkWriter(encoding, width=64, height=48, time_base=Fraction(1, 25))
    for frame in make.Video(pts=[0, 1]).pictures():
        writer.write(frame)
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    writer.close(2)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.parametrize("codec", CODECS)
def test_more_quality_is_closer_to_the_picture_and_larger(psnr: Any, codec: Codec) -> None:
    texture = np.random.default_rng(7).integers(60, 200, (144, 128), dtype=np.uint8)
    sizes, distances = [], []
    for quality in (10, 60, 95):
        encoding = segment_encoding(StyleRequest(style="a", codec=codec, quality=quality))
        writer = ChunkWriter(encoding, width=128, height=96, time_base=Fraction(1, 25))
        frame = av.VideoFrame.from_ndarray(texture, "yuv420p")
        frame.pts = 0
        writer.write(frame)
        data = writer.close(1)
        (shown,) = read_chunk(data)
        sizes.append(len(data))
        distances.append(psnr(av.VideoFrame.from_ndarray(texture, "yuv420p"), shown))
    assert sizes == sorted(sizes)
    assert distances == sorted(distances)
    assert sizes[0] * 2 < sizes[2]


@pytest.mark.parametrize("codec", CODECS)
def test_a_request_without_a_quality_gets_the_usual_one(codec: Codec) -> None:
    asked = StyleRequest(style="a", codec=codec, quality=60)
    assert segment_encoding(StyleRequest(style="a", codec=codec)) == segment_encoding(asked)


@pytest.mark.parametrize(
    ("codec", "pixels"), [("h264", "yuv420p"), ("hevc", "yuv420p10le"), ("av1", "yuv420p10le")]
)
def test_a_deeper_video_gets_ten_bits_where_players_take_them(
    make: Any, psnr: Any, codec: str, pixels: str
) -> None:
    data = segment(make, [0, 1001], bit_depth=10, codec=codec)
    assert looked_at(data)[0] == pixels
    pictures = make.Video(pts=[0, 1001]).pictures()
    shown = [frame.reformat(format="yuv420p") for frame in read_chunk(data)]
    assert min(psnr(a, b) for a, b in zip(pictures, shown, strict=True)) > 30


@pytest.mark.parametrize("codec", CODECS)
def test_the_smallest_side_is_the_encoders_own(codec: Codec) -> None:
    def encode(side: int) -> bytes:
        encoding = segment_encoding(StyleRequest(style="a", codec=codec))
        writer = ChunkWriter(encoding, width=side, height=side, time_base=Fraction(1, 25))
        frame = av.VideoFrame(side, side, "yuv420p")
        frame.pts = 0
        writer.write(frame)
        return writer.close(1)

    least = smallest_side(codec)
    assert encode(least)
    if least > 2:
        with pytest.raises(av.error.FFmpegError):
            encode(least - 2)


def test_the_mezzanine_is_not_subject_to_requests() -> None:
    assert (MEZZANINE.encoder, MEZZANINE.pixel_format) == ("libx264", "yuv420p")
