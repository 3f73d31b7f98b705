"""Segments of every codec are joined, checked and shown live like those of H.264."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest

from assembler.mux import mux
from assembler.verify import verify
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from splitter.media.split import SplitOptions
from stylizer.attempts.segments import pass_through
from web.live.remux import codec_of, init_fragment, media_fragment


def of_codec(found: Any, codec: str) -> list[bytes]:
    """Make a split's segments as a stylizer does that is asked for ``codec``."""
    style = StyleRequest(style="udnie", codec=codec)
    manifest = found.manifest()
    events = [ChunkReady.of("0" * 24, manifest.source, style, c) for c in manifest.chunks]
    return [pass_through(e, data) for e, data in zip(events, found.segments(), strict=True)]


@pytest.mark.parametrize(
    ("codec", "tag", "sound", "format_"),
    [
        ("hevc", "hvc1", "aac", "mp4"),
        ("av1", "av01", "aac", "mp4"),
        ("hevc", "hvc1", "flac", "matroska"),
        ("av1", "in Matroska", "pcm_s16le", "mov"),
    ],
)
def test_the_result_shows_every_frame_in_the_codec_asked_for(
    make: Any, split_video: Any, tmp_path: Any, codec: str, tag: str, sound: str, format_: str
) -> None:
    video = make.Video(frames=20, size=(96, 64), format=format_, sounds=[make.Sound(sound)])
    found = split_video(video.make(), SplitOptions(chunk_frames=8))
    out = tmp_path / f"result.{found.source.container}"
    pictures = mux(found.manifest(), iter(of_codec(found, codec)), found.side, out)
    verify(found.manifest(), found.side, out, pictures=pictures)
    with av.open(str(out)) as result:
        stream = result.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        if found.source.container == "mp4":
            assert stream.codec_tag == tag
        frames = list(result.decode(stream))
    assert [make.number_of(frame) for frame in frames] == list(range(20))


@pytest.mark.parametrize(
    ("codec", "deep", "name"),
    [
        ("h264", False, "avc1.64"),
        ("hevc", False, "hvc1.1.6.L"),
        ("hevc", True, "hvc1.2.4.L"),
        ("av1", False, "av01.0."),
        ("av1", True, "av01.0."),
    ],
)
def test_live_fragments_say_their_codec_and_hold_the_frames(
    make: Any, split_video: Any, codec: str, deep: bool, name: str
) -> None:
    colours = {"codec": "libx265", "pixel_format": "yuv420p10le"} if deep else {}
    options = {"x265-params": "log-level=none"} if deep else {"crf": "15"}
    video = make.Video(frames=16, size=(96, 64), options=options, **colours)
    found = split_video(video.make(), SplitOptions(chunk_frames=8))
    assert found.source.bit_depth == (10 if deep else 8)
    segments = of_codec(found, codec)
    assert codec_of(segments[0]).startswith(name)
    if codec == "av1":
        assert codec_of(segments[0]).endswith("M.10" if deep else "M.08")
    stream = init_fragment(segments[0]) + b"".join(
        media_fragment(segment, 0 if number == 0 else found.manifest().chunks[number].first_pts, 0)
        for number, segment in enumerate(segments)
    )
    with av.open(io.BytesIO(stream)) as played:
        shown = list(played.decode(video=0))
    assert [make.number_of(frame) for frame in shown] == list(range(16))
