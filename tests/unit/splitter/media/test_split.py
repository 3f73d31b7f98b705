"""A split gives exactly the frames that a player shows, at exactly their times."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import pytest

from shared.contracts.errors import SourceRefused
from shared.contracts.manifest import pts_digest
from splitter.media.limits import Limits
from splitter.media.part import Part
from splitter.media.split import SplitOptions, split


def times(found):
    return [frame.pts for frame in found.frames()]


def numbers(found, make):
    return [make.number_of(frame) for frame in found.frames()]


def refusal(data, tmp_path, **limits):
    with pytest.raises(SourceRefused) as caught:
        list(split(io.BytesIO(data), SplitOptions(limits=Limits(**limits)), tmp_path / "side"))
    assert caught.value.message.endswith(".")
    return caught.value.code


def test_every_frame_of_a_constant_rate_arrives_in_order(make, split_video):
    # Given a video with B-frames, stored in another order than shown
    video = make.Video(frames=75)
    # When it is split
    found = split_video(video.make())
    # Then the frames are complete, in order of presentation, and on time
    assert numbers(found, make) == list(range(75))
    assert times(found) == video.timestamps()
    assert [e.chunk.frames for e in found.chunks] == [32, 32, 11]


def test_a_variable_rate_is_kept_as_it_is(make, split_video):
    pts = [0, 1001, 1100, 9000, 9001, 90000, 90500]
    assert times(split_video(make.Video(pts=pts).make())) == pts


def test_chunks_describe_themselves(make, split_video):
    found = split_video(make.Video(pts=[0, 10, 30, 60, 100]).make(), SplitOptions(chunk_frames=2))
    first, second, third = [encoded.chunk for encoded in found.chunks]
    assert [c.index for c in (first, second, third)] == [0, 1, 2]
    assert [c.first_frame for c in (first, second, third)] == [0, 2, 4]
    assert [c.first_pts for c in (first, second, third)] == [0, 30, 100]
    assert [c.duration for c in (first, second)] == [30, 70]
    assert first.pts_digest == pts_digest([0, 10])
    assert (found.end.frames, found.end.chunks) == (5, 3)


@pytest.mark.parametrize("chunk_frames", [1, 7, 1000])
def test_chunks_may_have_any_length(make, split_video, chunk_frames):
    video = make.Video(frames=20)
    found = split_video(video.make(), SplitOptions(chunk_frames=chunk_frames))
    assert numbers(found, make) == list(range(20))
    assert times(found) == video.timestamps()


def test_the_first_chunks_may_be_short_and_double(make, split_video):
    options = SplitOptions(chunk_frames=8, first_chunk_frames=2)
    found = split_video(make.Video(frames=25).make(), options)
    assert [e.chunk.frames for e in found.chunks] == [2, 4, 8, 8, 3]


def test_a_video_of_one_frame_is_a_video(make, split_video):
    found = split_video(make.Video(frames=1).make())
    assert numbers(found, make) == [0]
    assert found.end.frames == 1


def test_the_last_frame_keeps_its_duration(make, split_video):
    found = split_video(make.Video(pts=[0, 1000, 2000], time_base=Fraction(1, 30000)).make())
    chunk = found.chunks[-1].chunk
    assert chunk.duration >= 2001


TEN_MINUTES = 600_000


@pytest.mark.parametrize("format_", ["mp4", "matroska"])
def test_a_video_of_ten_hours_is_refused_before_any_of_it_is_painted(make, tmp_path, format_):
    pts = [TEN_MINUTES * i for i in range(61)]
    every_hour = {"g": "6", "bf": "0"}
    tick = Fraction(1, 1000)
    data = make.Video(format=format_, pts=pts, time_base=tick, options=every_hour).make()
    with pytest.raises(SourceRefused) as caught:
        next(split(io.BytesIO(data), SplitOptions(), tmp_path / "side"))
    assert caught.value.code == "TOO_LONG"
    part = SplitOptions(part=Part(start_ms=5 * TEN_MINUTES, duration_ms=TEN_MINUTES + 1))
    *_, end = split(io.BytesIO(data), part, tmp_path / "side")
    assert end.frames == 2


def test_too_many_frames_are_refused_before_any_of_them_is_painted(make, tmp_path):
    data, limits = make.Video(frames=40).make(), Limits(max_frames=30)
    with pytest.raises(SourceRefused) as caught:
        next(split(io.BytesIO(data), SplitOptions(limits=limits), tmp_path / "side"))
    assert caught.value.code == "TOO_MANY_FRAMES"
    options = SplitOptions(limits=limits, part=Part(max_frames=30))
    *_, end = split(io.BytesIO(data), options, tmp_path / "side")
    assert end.frames == 30


def test_a_video_that_starts_late_stays_late(make, split_video):
    pts = [21000 + i * 1001 for i in range(5)]
    assert times(split_video(make.Video(pts=pts).make())) == pts


def test_repeated_timestamps_are_moved_by_a_tick_and_no_frame_is_dropped(make, split_video):
    # Given pairs of frames that share a timestamp, which Matroska allows
    video = make.Video(
        frames=6, stamps=[0, 0, 40, 40, 80, 80], format="matroska", time_base=Fraction(1, 1000),
        options={"bf": "0"},
    )  # fmt: skip
    found = split_video(video.make())
    # Then each second frame of a pair comes one tick later
    assert times(found) == [0, 1, 40, 41, 80, 81]
    assert numbers(found, make) == [0, 1, 2, 3, 4, 5]
    assert any("moved by one tick" in warning for warning in found.end.warnings)


def test_a_time_base_with_a_numerator_stays_exact(make, split_video):
    # Given an AVI, which ticks once a frame: 1001/30000 s
    video = make.Video(
        frames=10, format="avi", codec="mpeg4", time_base=Fraction(1001, 30000), options={"bf": "0"}
    )
    found = split_video(video.make())
    # Then the result ticks at 1/30000 s, 1001 times a frame
    assert found.source.time_base == Fraction(1, 30000)
    assert times(found) == [i * 1001 for i in range(10)]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_container_without_presentation_times_shows_frames_in_order(make, split_video, b_frames):
    # Given H.264 in AVI, which stores only the order of decoding
    video = make.Video(
        frames=20, format="avi", time_base=Fraction(1, 30), options={"bf": str(b_frames)}
    )
    found = split_video(video.make())
    # Then frames follow one another at the file's rate, from the beginning
    assert times(found) == list(range(20))
    assert numbers(found, make) == list(range(20))


def test_the_arbitrary_start_of_a_transport_stream_is_subtracted_from_all_tracks(make, split_video):
    # Given a transport stream whose clock starts anywhere, sound 0.1 s after the picture
    start = 3600 * 90000
    video = make.Video(
        pts=[start + i * 3003 for i in range(10)], format="mpegts", time_base=Fraction(1, 90000),
        sounds=[make.Sound("mp2", start_s=3600.1)],
    )  # fmt: skip
    data = video.make()
    found = split_video(data)
    # Then the picture starts at zero, steps are exact, and the sound is late by as much as before
    assert times(found) == [i * 3003 for i in range(10)]
    picture, sound = (make.packets(data, kind)[0][0] for kind in ("video", "audio"))
    began, _ = make.packets(found.side)[0]
    assert abs(began - (sound - picture)) <= Fraction(1, 48000)


def test_an_edit_list_hides_what_it_hides(make, split_video):
    # Given a video whose first second is cut away by an edit list
    data = bytearray(make.Video(frames=40, options={"bf": "0", "crf": "15"}).make())
    at = data.index(b"elst") + 4
    version_flags, count, _duration, _media_time = struct.unpack(">IIIi", data[at : at + 16])
    assert (version_flags, count) == (0, 1)
    data[at + 12 : at + 16] = struct.pack(">i", 30 * 1001)
    found = split_video(bytes(data))
    # Then only the other frames are there, and begin at zero
    assert numbers(found, make) == list(range(30, 40))
    assert times(found) == [i * 1001 for i in range(10)]


def test_the_same_file_gives_the_same_bytes(make, split_video):
    data = make.Video(frames=40, sounds=[make.Sound()]).make()
    first, second = split_video(data), split_video(data)
    assert [e.data for e in first.chunks] == [e.data for e in second.chunks]
    assert first.side.read_bytes() == second.side.read_bytes()


def test_the_source_is_described_before_the_first_chunk(make, split_video):
    video = make.Video(size=(96, 64), aspect=Fraction(4, 3), sounds=[make.Sound(language="deu")])
    source = split_video(video.make()).source
    assert (source.width, source.height, source.codec) == (96, 64, "h264")
    assert source.sample_aspect_ratio == Fraction(4, 3)
    assert [(t.kind, t.codec, t.language) for t in source.tracks] == [("audio", "aac", "deu")]


def test_a_refusal_leaves_no_side_file_behind(make, tmp_path):
    # Given a video with sound, that turns out too long after some chunks
    data = make.Video(frames=40, sounds=[make.Sound()]).make()
    assert refusal(data, tmp_path, max_frames=35) == "TOO_MANY_FRAMES"
    assert not (tmp_path / "side").exists()


def test_an_empty_file_is_refused_as_empty(tmp_path):
    assert refusal(b"", tmp_path) == "EMPTY_FILE"


@pytest.mark.parametrize(
    "data",
    [
        b"just some text, and enough of it to be looked at " * 50,
        bytes(range(256)) * 40,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
    ],
    ids=["text", "noise", "picture"],
)
def test_a_file_that_is_not_a_video_is_refused_as_such(tmp_path, data):
    assert refusal(data, tmp_path) == "NOT_A_VIDEO"


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile '{path}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "v=0\nm=video 5004 RTP/AVP 96\nc=IN IP4 127.0.0.1\n",
        '<?xml version="1.0"?><MPD><Period><BaseURL>{path}</BaseURL></Period></MPD>',
    ],
    ids=["concat", "playlist", "session", "dash"],
)
def test_a_script_is_not_a_video_and_opens_nothing(make, tmp_path, script):
    # Given a real video beside a script that points to it
    other = tmp_path / "other.mp4"
    other.write_bytes(make.Video(frames=2).make())
    # Then the script is refused for what it is
    assert refusal(script.format(path=other).encode(), tmp_path) == "NOT_A_VIDEO"


def test_a_frame_is_not_believed_to_last_longer_than_any_file_can_hold(make, split_video):
    data = make.Video(frames=1, options={}).make()
    at = data.index(b"stts") + 16
    found = split_video(data[:at] + b"\xad" + data[at + 1 :])
    assert found.end.frames == 1
    assert found.chunks[0].chunk.duration < 30000


def test_a_file_without_its_index_is_invalid(make, tmp_path):
    data = make.Video().make()
    assert refusal(data[: data.index(b"moov") - 4], tmp_path) == "INVALID_MEDIA"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("head", [b"FLV\1\5\0\0\0\0", b"DKIF\0\0\0\0"])
def test_a_file_whose_header_claims_to_be_shorter_than_it_is_is_refused_at_once(head, tmp_path):
    assert refusal(head + bytes(4000), tmp_path) == "INVALID_MEDIA"


def test_sound_alone_is_not_a_video(make, tmp_path):
    data = make.Video(frames=0, sounds=[make.Sound()]).make()
    assert refusal(data, tmp_path) == "NO_VIDEO_STREAM"


def test_a_codec_without_decoder_is_refused_as_such(make, tmp_path):
    data = make.Video(frames=1).make().replace(b"avc1", b"zzzz")
    assert refusal(data, tmp_path) == "UNSUPPORTED_CODEC"


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"max_bytes": 100}, "TOO_LARGE"),
        ({"max_pixels": 64 * 47}, "TOO_LARGE"),
        ({"max_frames": 39}, "TOO_MANY_FRAMES"),
        ({"max_duration_s": 1.2}, "TOO_LONG"),
        ({"min_side": 50}, "BAD_RESOLUTION"),
        ({"max_side": 63}, "BAD_RESOLUTION"),
    ],
)
def test_each_limit_has_its_own_refusal(make, tmp_path, limits, code):
    assert refusal(make.Video(frames=40).make(), tmp_path, **limits) == code


def test_a_picture_that_is_too_large_for_its_decoder_alone_is_refused_for_its_size(make, tmp_path):
    # Given one that takes several times its pixels once its decoder has added margins
    video = make.Video(frames=2, size=(1024, 48), format="asf", codec="wmv2", options={})
    limits = Limits(max_pixels=1 << 16)
    with pytest.raises(SourceRefused, match="The decoder needs room for a picture") as refused:
        list(split(io.BytesIO(video.make()), SplitOptions(limits=limits), tmp_path / "side"))
    assert refused.value.code == "TOO_LARGE"


def test_limits_are_inclusive(make, split_video):
    limits = Limits(max_pixels=64 * 48, max_frames=40, min_side=48, max_side=64)
    found = split_video(make.Video(frames=40).make(), SplitOptions(limits=limits))
    assert found.end.frames == 40


def test_a_rate_beyond_the_limit_is_refused(make, tmp_path):
    video = make.Video(frames=1100, size=(16, 16), options={"preset": "ultrafast"})
    assert refusal(video.make(), tmp_path, max_rate=29.0) == "RATE_TOO_HIGH"


def test_a_lying_duration_does_not_matter(make, split_video):
    # Given a file whose header claims fifty times its length
    data = bytearray(make.Video(frames=20).make())
    at = data.index(b"mvhd") + 4 + 16
    data[at : at + 4] = struct.pack(">I", 10**9)
    # Then what is decoded counts
    assert split_video(bytes(data), SplitOptions(limits=Limits(max_duration_s=5))).end.frames == 20


def test_a_damaged_stretch_costs_its_frames_and_is_reported(make, split_video):
    # Given a video with a hole in its data
    data = bytearray(make.Video(frames=60, options={"g": "10", "bf": "0"}).make())
    start, length = data.index(b"mdat"), data.index(b"moov") - data.index(b"mdat")
    hole = slice(start + length // 2, start + length // 2 + 400)
    data[hole] = bytes(len(data[hole]))
    found = split_video(bytes(data))
    # Then the rest is there, the same every time, and the loss is told
    assert 40 <= found.end.frames <= 60
    assert found.end.warnings
    again = split_video(bytes(data))
    assert [e.data for e in found.chunks] == [e.data for e in again.chunks]


def test_a_file_that_breaks_off_gives_what_is_there(make, split_video):
    video = make.Video(frames=60, format="matroska", time_base=Fraction(1, 1000))
    data = video.make()
    found = split_video(data[: len(data) * 6 // 10])
    assert 0 < found.end.frames < 60
    assert any("cut off" in warning for warning in found.end.warnings)


def test_too_little_of_a_video_is_refused(make, tmp_path):
    data = bytearray(make.Video(frames=60, options={"g": "60", "bf": "0"}).make())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    keep = (end - start) // 3
    data[start + keep : end] = b"\xff" * (end - start - keep)
    assert refusal(bytes(data), tmp_path, min_decodable=0.9) == "TOO_DAMAGED"
