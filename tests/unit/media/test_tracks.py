"""Sound and text travel beside the picture, bit by bit and on time."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

MP4_CODECS = ["aac", "libmp3lame", "libopus", "flac", "ac3", "mp2"]


@pytest.mark.parametrize("codec", MP4_CODECS)
def test_sound_that_fits_mp4_is_copied_to_the_byte(make, split_video, codec):
    # Given a video with sound
    data = make.Video(frames=10, sounds=[make.Sound(codec)]).make()
    # When it is split
    found = split_video(data)
    # Then the side file has the same packets at the same times
    assert found.source.container == "mp4"
    assert make.packets(found.side) == make.packets(data)


@pytest.mark.parametrize("codec", ["pcm_s16le", "wavpack"])
def test_sound_that_does_not_fit_mp4_makes_the_result_matroska(make, split_video, codec):
    data = make.Video(frames=10, format="matroska", sounds=[make.Sound(codec)]).make()
    found = split_video(data)
    assert found.source.container == "mkv"
    assert make.packets(found.side) == make.packets(data)


def test_one_track_that_does_not_fit_takes_the_others_along(make, split_video):
    sounds = [make.Sound("aac"), make.Sound("pcm_s16le")]
    data = make.Video(frames=10, format="matroska", sounds=sounds).make()
    found = split_video(data)
    assert found.source.container == "mkv"
    assert [track.codec for track in found.source.tracks] == ["aac", "pcm_s16le"]
    for index in (0, 1):
        assert make.packets(found.side, index=index) == make.packets(data, index=index)


@pytest.mark.parametrize("start_s", [0.0, 0.25, 0.777])
def test_late_sound_stays_late_to_the_sample(make, split_video, start_s):
    data = make.Video(frames=30, sounds=[make.Sound("flac", start_s=start_s)]).make()
    found = split_video(data)
    began, _ = make.packets(found.side)[0]
    assert began == Fraction(round(start_s * 48000), 48000)


def test_every_track_keeps_its_language_and_place(make, split_video):
    sounds = [make.Sound(language="eng"), make.Sound(language="deu", rate=44100)]
    found = split_video(make.Video(frames=10, sounds=sounds).make())
    with av.open(str(found.side)) as side:
        assert [stream.language for stream in side.streams.audio] == ["eng", "deu"]
        assert [stream.rate for stream in side.streams.audio] == [48000, 44100]
    assert [track.language for track in found.source.tracks] == ["eng", "deu"]


def test_silence_needs_no_side_file(make, split_video, tmp_path):
    found = split_video(make.Video(frames=3, format="avi", codec="mpeg4", options={}).make())
    assert found.end.has_side is (found.side is not None and found.side.exists())
    assert found.source.tracks == ()


def test_titles_are_carried_even_without_sound(make, split_video):
    found = split_video(make.Video(frames=3, metadata={"title": "A day; at = sea"}).make())
    with av.open(str(found.side)) as side:
        assert side.metadata["title"] == "A day; at = sea"


def test_what_a_muxer_wrote_about_itself_is_not_carried(make, split_video):
    found = split_video(make.Video(frames=3, metadata={"comment": "x"}).make())
    with av.open(str(found.side)) as side:
        assert "major_brand" not in side.metadata


def test_sound_longer_than_the_picture_is_not_cut(make, split_video):
    data = make.Video(frames=3, sounds=[make.Sound(duration_s=3.0)]).make()
    assert len(make.packets(split_video(data).side)) == len(make.packets(data))


def test_a_track_that_is_no_use_is_left_out_and_named(make, split_video):
    # Given sound in a codec that nobody knows
    data = make.Video(frames=10, sounds=[make.Sound()]).make()
    data = data.replace(b"mp4a", b"zzzz").replace(b"esds", b"free")
    found = split_video(data)
    # Then the picture goes on without it, and says so
    assert found.end.frames == 10
    assert found.source.tracks == ()
    assert found.source.dropped == ("audio (unknown)",)
    assert any("audio track 1" in warning for warning in found.end.warnings)
