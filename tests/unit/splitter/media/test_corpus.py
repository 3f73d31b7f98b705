"""Real footage and unusual files, through the whole media path.

The clips are not part of the project. ``STYLESTREAM_TEST_VIDEOS`` names a folder that holds them
beside a ``manifest.json``: a list of objects with ``file``, ``frames``, ``audio`` (each with
``packets`` and ``packet_md5_pyav``) and, for what must be refused, nothing else. What a player
shows of a clip is found out here by decoding it plainly, without any of the project's code.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

from assembler.mux import mux
from assembler.verify import verify
from shared.contracts.errors import SourceRefused
from shared.media.chunks import read_chunk
from shared.media.pixels import to_planar_rgb
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitOptions, split

FOLDER = Path(os.environ.get("STYLESTREAM_TEST_VIDEOS", "/nonexistent"))
MANIFEST = FOLDER / "manifest.json"
CLIPS = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []

REFUSED = {
    "e_zero.mp4": "EMPTY_FILE",
    "e_random.mp4": "NOT_A_VIDEO",
    "e_text.mp4": "NOT_A_VIDEO",
    "e_image_png.mp4": "NOT_A_VIDEO",
    "e_hls_ssrf.mp4": "NOT_A_VIDEO",
    "e_trunc_nomoov.mp4": "INVALID_MEDIA",
    "e_audioonly.mp4": "NO_VIDEO_STREAM",
    "e_audio_cover.m4a": "NO_VIDEO_STREAM",
    "e_encrypted_cenc.mp4": "ENCRYPTED",
    "e_bomb_h264_16000.mp4": "TOO_LARGE",
    "e_bomb_vp9_16384.webm": "TOO_LARGE",
}
WARNED = {
    "e_corrupt.ts": "damaged",
    "e_corrupt_mid.mp4": "could not be decoded",
    "e_trunc.mkv": "cut off",
    "e_trunc_faststart.mp4": "cut off",
    "e_duppts.mkv": "moved by one tick",
    "e_vfr_ms.mkv": "moved by one tick",
    "e_reschange.ts": "moved by one tick",
}
DROPPED = {
    "e_attach_chapters.mkv": ("attachment (open.srt)", "cover art (png)"),
    "e_pgs_subs.mkv": ("subtitle (hdmv_pgs_subtitle)",),
    "real_dog_woman.mp4": ("timecode",),
    "real_nasa_multistream.mp4": ("second video (h264)",),
}
BROADCAST = {"e_mpeg2.ts", "e_corrupt.ts", "e_reschange.ts"}
OTHER_PIXELS = {
    "e_hdr10.mp4", "e_vvc.mp4", "real_hdr10_av1_portrait.mp4",  # more than 8 bits
    "e_interlaced.mp4", "e_reschange.ts",
    "e_anim.gif", "e_prores4444_alpha.mov", "e_yuv422p10.mp4", "e_yuv444.mp4",  # not 4:2:0
    "e_odd444_639x357.mp4", "e_odd_639x357.webm",
}  # fmt: skip
MANY_FRAMES = "e_100k_frames.mp4"

pytestmark = pytest.mark.skipif(not CLIPS, reason="STYLESTREAM_TEST_VIDEOS names no clips")
ACCEPTED = [c for c in CLIPS if c["file"] not in REFUSED and c["file"] != MANY_FRAMES]


@dataclass
class Shown:
    """What a plain decode of a clip shows."""

    pts: list[int]
    tick: Fraction
    frames: list[av.VideoFrame]
    rotation: int


def plainly(path, keep=8):
    """Decode a file without the project's code; keep every ``keep``-th picture."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams.video if not s.disposition & 1024)
        stream.thread_type = "NONE"
        pts, frames, rotation = [], [], 0
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in decoded:
                rotation = frame.rotation if not pts else rotation
                if len(pts) % keep == 0:
                    frames.append(frame)
                pts.append(frame.pts)
        return Shown(pts, stream.time_base, frames, rotation)


def strictly_increasing(pts):
    out = []
    for at in pts:
        out.append(at if not out or at > out[-1] else out[-1] + 1)
    return out


def rgb(frame):
    """Convert by the frame's own tags, or by what players guess."""
    hd = max(frame.width, frame.height) >= 1280 or min(frame.width, frame.height) >= 720
    matrix = frame.colorspace if frame.colorspace not in (0, 2, 3) else (1 if hd else 5)
    full = frame.color_range == 2 or frame.format.name.startswith("yuvj")
    converted = VideoReformatter().reformat(
        frame, format="rgb24", src_colorspace=matrix, src_color_range=2 if full else 1,
        dst_color_range=2,
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT,
    )  # fmt: skip
    return converted.to_ndarray().transpose(2, 0, 1).astype(float)


def luma(picture):
    """The Y' of BT.709 limited range, in which quality is usually stated."""
    return 16 + np.tensordot([0.2126, 0.7152, 0.0722], picture, axes=1) * 219 / 255


@pytest.mark.parametrize("clip", sorted(REFUSED))
def test_what_cannot_be_painted_is_refused_by_name(clip, tmp_path):
    with (FOLDER / clip).open("rb") as file, pytest.raises(SourceRefused) as caught:
        list(split(file, SplitOptions(), tmp_path / "side"))
    assert caught.value.code == REFUSED[clip]


@dataclass
class Journey:
    """A clip before and after."""

    clip: dict
    source: Path
    result: Path
    split: object
    shown: Shown
    painted: Shown

    @property
    def shift(self):
        """By how much the picture was moved, in seconds."""
        before = self.shown.pts[0] * self.shown.tick
        return before - self.painted.pts[0] * self.painted.tick


@pytest.fixture(scope="module", params=ACCEPTED, ids=[c["file"] for c in ACCEPTED])
def journey(request, tmp_path_factory, split_video):
    """Split a clip, paint nothing, join the segments and verify."""
    source = FOLDER / request.param["file"]
    found = split_video(source.read_bytes())
    out = tmp_path_factory.mktemp("result") / f"result.{found.source.container}"
    mux(found.manifest(), iter(found.segments()), found.side, out)
    verify(found.manifest(), found.side, out)
    return Journey(request.param, source, out, found, plainly(source), plainly(out))


def test_every_frame_is_there_at_its_time(journey):
    name, shown, painted = journey.clip["file"], journey.shown, journey.painted
    assert len(shown.pts) == len(painted.pts) == journey.clip["frames"]
    assert name in BROADCAST or abs(journey.shift) <= painted.tick / 2
    times = [at * shown.tick - journey.shift for at in strictly_increasing(shown.pts)]
    found = [at * painted.tick for at in painted.pts]
    if journey.split.source.container == "mp4":
        assert found == times
    else:
        assert max(abs(a - b) for a, b in zip(found, times, strict=True)) <= painted.tick


def test_the_picture_stands_upright_and_has_its_size(journey):
    width, height = journey.clip["width"], journey.clip["height"]
    if journey.shown.rotation in (90, -90):
        width, height = height, width
    source = journey.split.source
    assert (source.width, source.height) == (width + width % 2, height + height % 2)
    assert journey.painted.rotation == 0
    with av.open(str(journey.result)) as result:
        assert result.streams.video[0].width == source.width
        assert result.streams.video[0].sample_aspect_ratio == source.sample_aspect_ratio


def test_exactly_the_losses_are_reported(journey):
    name, split_ = journey.clip["file"], journey.split
    assert split_.source.dropped == DROPPED.get(name, ())
    assert WARNED.get(name, "") in "; ".join(split_.end.warnings)
    assert bool(split_.end.warnings) == (name in WARNED)


def test_the_picture_looks_the_same(journey):
    if journey.clip["file"] in OTHER_PIXELS:
        pytest.skip("the picture is converted on purpose")
    turns = {90: 1, -90: 3, 180: 2, -180: 2}.get(journey.shown.rotation, 0)
    errors = []
    for before, after in zip(journey.shown.frames, journey.painted.frames, strict=True):
        painted = np.empty((3, after.height, after.width), np.uint8)
        to_planar_rgb(after, painted)
        expected = np.rot90(rgb(before), turns, axes=(1, 2))
        errors.append(np.mean((luma(expected) - luma(painted)) ** 2))
        # A wrong matrix or range would tint the picture as a whole.
        assert abs((expected - painted).mean(axis=(1, 2))).max() < 2
    assert 10 * np.log10(255**2 / np.mean(errors)) >= 38


def test_the_sound_is_the_same_at_the_same_times(journey):
    for index, facts in enumerate(journey.clip["audio"]):
        before, after = (sound(path, index) for path in (journey.source, journey.result))
        assert len(after.times) == facts["packets"]
        # In a transport stream AAC packets carry headers that MP4 has no place for.
        if not (journey.clip["file"] in BROADCAST and facts["codec"] == "aac"):
            assert after.digest == facts["packet_md5_pyav"]
        tick = max(before.tick, after.tick)
        expected = strictly_increasing([round((t - journey.shift) / tick) for t in before.times])
        found = [t / tick for t in after.times]
        assert max(abs(a - b) for a, b in zip(expected, found, strict=True)) <= 1


@pytest.mark.timeout(1200)
def test_a_hundred_thousand_frames_are_split_in_steady_memory(tmp_path):
    clip = next(c for c in CLIPS if c["file"] == MANY_FRAMES)
    counted = 0
    with (FOLDER / MANY_FRAMES).open("rb") as file:
        for event in split(file, SplitOptions(chunk_frames=256), tmp_path / "side"):
            counted += event.chunk.frames if isinstance(event, EncodedChunk) else 0
    assert counted == clip["frames"] == event.frames


@dataclass
class Sound:
    """A track's packets: the digest of their bytes, and their times."""

    digest: str
    times: list[Fraction]
    tick: Fraction


def sound(path, index):
    digest, times = hashlib.md5(usedforsecurity=False), []
    with av.open(str(path)) as container:
        stream = container.streams.audio[index]
        for packet in container.demux(stream):
            if packet.size:
                digest.update(bytes(packet))
                times.append(packet.pts * packet.time_base)
        return Sound(digest.hexdigest(), times, stream.time_base)


@pytest.mark.parametrize("name", ["e_hdr10.mp4", "real_hdr10_av1_portrait.mp4"])
@pytest.mark.skipif(not CLIPS, reason="STYLESTREAM_TEST_VIDEOS names no folder")
def test_hdr_looks_as_ffmpeg_itself_maps_it(name, tmp_path):
    with (FOLDER / name).open("rb") as file:
        chunk = next(e for e in split(file, SplitOptions(), tmp_path / "s") if is_chunk(e))
    ours = next(read_chunk(chunk.data))
    theirs = mapped_by_ffmpeg(FOLDER / name)
    one, other = (f.to_ndarray()[: ours.height].astype(float) for f in (ours, theirs))
    # (Bright warm colours are dimmer here, and keep more of their saturation.)
    assert np.abs(one - other).mean() < 10
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


def is_chunk(event) -> bool:
    return isinstance(event, EncodedChunk)


def mapped_by_ffmpeg(path: Path) -> av.VideoFrame:
    """Return the first frame as FFmpeg's own colour management brings it to BT.709."""
    target = "matrix=bt709:out_range=tv:out_primaries=bt709:out_transfer=bt709"
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(template=container.streams.video[0]),
            graph.add("scale", f"out_color_{target}:intent=relative_colorimetric"),
            graph.add("format", "pix_fmts=yuv420p"),
            graph.add("buffersink"),
        ).configure()
        graph.push(frame)
        return graph.pull()
