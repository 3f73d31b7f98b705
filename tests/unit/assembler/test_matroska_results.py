"""Matroska uses milliseconds: how close its times come to the source's."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction

import av
import pytest
from results import refused, shown

from assembler.verify import verify
from shared.contracts.errors import ResultError
from splitter.media.split import SplitOptions

SHORT = SplitOptions(chunk_frames=8)


def test_matroska_results_are_exact_when_the_source_ticks_in_milliseconds(make, split_video, join):
    pts = [3, 36, 70, 103, 136, 170, 203, 237, 270, 303]
    video = make.Video(
        pts=pts, format="matroska", time_base=Fraction(1, 1000), sounds=[make.Sound("pcm_s16le")],
        options={"bf": "0"},
    )  # fmt: skip
    found = split_video(video.make(), SHORT)
    out = join(found)
    assert out.suffix == ".mkv"
    assert [time for time, _ in shown(out)] == [Fraction(at, 1000) for at in pts]
    verify(found.manifest(), found.side, out)


def test_matroska_results_of_finer_sources_are_right_within_half_a_millisecond(
    make, split_video, join
):
    # Given a source that ticks at 1/30000 s, with sound that MP4 does not hold
    video = make.Video(frames=20, format="mov", sounds=[make.Sound("pcm_s16le")])
    found = split_video(video.make(), SHORT)
    out = join(found)
    assert out.suffix == ".mkv"
    times = [Fraction(at, 30000) for at in video.timestamps()]
    assert max(abs(a - b) for (a, _), b in zip(shown(out), times, strict=True)) <= Fraction(1, 2000)
    verify(found.manifest(), found.side, out)


def test_matroska_results_of_coarser_sources_are_checked_to_the_tick(make, split_video, join):
    # Given an AVI of 25 frames a second
    video = make.Video(
        frames=20, format="avi", codec="mpeg4", time_base=Fraction(1, 25), options={"bf": "0"},
        pts=range(20), sounds=[make.Sound("pcm_s16le")],
    )  # fmt: skip
    found = split_video(video.make(), SHORT)
    out = join(found)
    assert [time for time, _ in shown(out)] == [Fraction(i, 25) for i in range(20)]
    # When the manifest says otherwise by one tick within a chunk, it is noticed
    manifest = found.manifest()
    first = dataclasses.replace(manifest.chunks[0], pts_digest="0" * 32)
    other = manifest.model_copy(update={"chunks": (first, *manifest.chunks[1:])})
    assert refused(ResultError, lambda: verify(other, found.side, out)) == "FRAME_TIME"


def test_the_priming_of_sound_before_zero_moves_nothing_in_matroska(make, split_video, join):
    # Given AAC, whose first packet lies before zero, beside sound that MP4 does not hold
    sounds = [make.Sound("aac"), make.Sound("pcm_s16le")]
    data = make.Video(frames=20, format="mov", sounds=sounds).make()
    out = join(split_video(data, SHORT))
    # Then picture and sound begin when they did, within half a millisecond
    assert shown(out)[0][0] == 0
    for index in (0, 1):
        before, after = (make.packets(file, index=index)[0][0] for file in (data, out))
        assert abs(before - after) <= Fraction(1, 2000)


@pytest.mark.parametrize("sound", ["pcm_s16le", "pcm_alaw"])
@pytest.mark.parametrize("pts", [range(0, 20_020, 1001), [0, 3000, 18_000, 21_000, 24_000]])
def test_matroska_results_say_how_many_frames_a_second_there_are(
    make, split_video, join, pts, sound
):
    # Given 29.97 frames a second, or frames that last a tenth to half a second
    sounds = [make.Sound(sound)]
    data = make.Video(
        frames=len(pts), pts=pts, format="mov", options={"bf": "0"}, sounds=sounds
    ).make()
    found = split_video(data, SHORT)
    out = join(found)
    # Then the result does not pass off the source's ticks, 30000 a second, as frames
    with av.open(str(out)) as result, av.open(io.BytesIO(data)) as source:
        rate = source.streams.video[0].average_rate
        assert result.streams.video[0].average_rate == pytest.approx(rate, rel=1e-4)
    assert out.suffix == ".mkv"
    verify(found.manifest(), found.side, out)
