"""Files that once gave a wrong result: each gives the right frames, times and tracks.

The files are not part of the project. ``STYLESTREAM_TEST_CASES`` names a folder that holds them.
Files of the same kinds are made in `test_kinds` and its neighbours; these come from elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from assembler.mux import mux
from assembler.packets import is_filler
from assembler.verify import verify

FOLDER = Path(os.environ.get("STYLESTREAM_TEST_CASES", "/nonexistent"))

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="STYLESTREAM_TEST_CASES names no files")


@dataclass(frozen=True)
class Expected:
    """What comes of a file; ``tracks`` are codecs with their numbers of packets."""

    frames: int
    last_s: float
    container: str = "mp4"
    tracks: tuple[tuple[str, int], ...] = ()
    warning: str = ""
    damaged: bool = False
    dropped: tuple[str, ...] = ()


CASES = {
    "alaw.mkv": Expected(75, 2.469, "mkv", (("pcm_alaw", 117),)),
    "amrnb.3gp": Expected(75, 2.469, "mkv", (("amr_nb", 126),)),
    "anim.avif": Expected(10, 0.36, dropped=("still picture (av1)",)),
    "gap20.ts": Expected(30, 2.9, warning="joined without a gap"),
    "hole.webm": Expected(31, 1.008, tracks=(("opus", 52),), warning="header says", damaged=True),
    "mpeg2_2997_na.mxf": Expected(15, 0.467),
    "mulaw.mov": Expected(50, 1.96, "mkv", (("pcm_mulaw", 50),)),
    "s_gap.mkv": Expected(75, 2.49, tracks=(("aac", 118), ("mov_text", 2))),
    "s_half.mkv": Expected(75, 2.49, tracks=(("aac", 118), ("mov_text", 1))),
    "t95.flv": Expected(64, 2.169, tracks=(("aac", 97),), warning="cut off", damaged=True),
    "truehd.mkv": Expected(38, 1.235, "mkv", (("truehd", 1440),)),
    "ts_pause_5s.ts": Expected(75, 7.49, tracks=(("aac", 118),)),
    "wma.wmv": Expected(50, 2.003, "mkv", (("wmav2", 47),)),
    "x_audio_multiedit.mp4": Expected(75, 2.469, tracks=(("aac", 72),)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_came_out_wrong_comes_out_right(name, split_video, tmp_path):
    expected = CASES[name]
    found = split_video((FOLDER / name).read_bytes())
    out = tmp_path / f"result.{found.source.container}"
    mux(found.manifest(), iter(found.segments()), found.side, out)
    verify(found.manifest(), found.side, out)
    assert found.source.container == expected.container
    assert found.source.dropped == expected.dropped
    assert bool(found.end.warnings) == bool(expected.warning)
    assert expected.warning in "; ".join(found.end.warnings)
    assert found.end.damaged == expected.damaged
    times, tracks = contents(out)
    assert len(times) == expected.frames
    assert times == sorted(times)
    assert times[-1] == pytest.approx(expected.last_s, abs=0.001)
    assert tracks == expected.tracks


def contents(path):
    """Return the times of a result's frames in seconds, and its other tracks' packets."""
    with av.open(str(path)) as container:
        times, counts = [], {stream.index: 0 for stream in container.streams}
        video = container.streams.video[0]
        for packet in container.demux():
            if not packet.size or (packet.stream.type == "subtitle" and is_filler(packet)):
                continue
            counts[packet.stream_index] += 1
            if packet.stream_index == video.index:
                times.append(float(packet.pts * packet.time_base))
        tracks = tuple(
            (stream.codec_context.codec.canonical_name, counts[stream.index])
            for stream in container.streams
            if stream.index != video.index
        )
    return times, tracks
