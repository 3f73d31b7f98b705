"""A recording whose clock jumps plays on without a gap."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from splitter.media.epochs import Epochs
from splitter.media.split import SplitOptions

TICK = Fraction(1, 90000)


def restamped(times, *, may_jump=True, duration=3600):
    """Send packets of these dts through, presented a little later."""
    epochs, out = Epochs(may_jump), []
    for time in times:
        packet = av.Packet(b"x")
        packet.time_base, packet.duration = TICK, duration
        packet.dts, packet.pts = time, time + 100
        epochs.restamp(packet)
        assert packet.pts == packet.dts + 100
        out.append(packet.dts)
    return out, list(epochs.warnings())


def test_a_steady_clock_is_left_alone():
    times = [1000 + i * 3600 for i in range(50)]
    assert restamped(times) == (times, [])


@pytest.mark.parametrize("jump", [-(10**9), -400_000, -135_000, 2_000_000, 10**10])
def test_after_a_jump_the_clock_continues_from_where_it_was(jump):
    # Given five packets before a jump and five after it
    times = [10**9 + i * 3600 + (jump if i >= 5 else 0) for i in range(10)]
    found, warnings = restamped(times)
    # Then there is no jump any more, and it is told
    assert found == [10**9 + i * 3600 for i in range(10)]
    (warning,) = warnings
    assert ("jumps back once" in warning) == (jump < 0)
    assert ("pauses, or its clock jumps ahead, once" in warning) == (jump > 0)
    assert "the parts were joined without a gap" in warning


def test_tracks_that_cross_the_jump_at_different_places_stay_in_step():
    # Given picture and sound alternating, the sound's jump stored two packets later
    first, second = 10**9, 5 * 10**9
    picture = [first, first + 3600, second, second + 3600, second + 7200]
    sound = [first - 7200, first - 3600, first, first + 3600, second]
    times = [t for pair in zip(picture, sound, strict=True) for t in pair]
    found, _ = restamped(times)
    # Then each track is continuous
    assert [b - a for a, b in itertools.pairwise(found[0::2])] == [3600] * 4
    assert [b - a for a, b in itertools.pairwise(found[1::2])] == [3600] * 4


def test_one_track_may_pause_while_another_continues():
    epochs = Epochs(may_jump=True)
    for second in range(40):
        for track in (0, 1) if second < 10 or second > 30 else (0,):
            packet = Stored(track, second * 90000)
            epochs.restamp(packet)
            assert packet.dts == second * 90000
    assert list(epochs.warnings()) == []


class Stored(SimpleNamespace):
    """A packet as far as its place and its time go (PyAV's cannot be given a track)."""

    def __init__(self, track, time):
        super().__init__(stream_index=track, dts=time, pts=time, duration=3600, time_base=TICK)


def test_a_short_recording_may_be_looped():
    # Given a second and a half, three times, without new timestamps
    once = [10**9 + i * 3600 for i in range(38)]
    found, (warning,) = restamped(once * 3)
    assert [b - a for a, b in itertools.pairwise(found)] == [3600] * 113
    assert "jumps back 2 times" in warning


def test_one_wrong_timestamp_moves_nothing_behind_it():
    times = [10**9 + i * 3600 for i in range(50)]
    wrong = [*times[:20], times[20] - 180_000, *times[21:]]
    found, _ = restamped(wrong)
    assert found[21:] == times[21:]


def test_a_gap_of_seconds_is_kept():
    times = [0, 3600, 3600 + 5 * 90000]
    assert restamped(times) == (times, [])


def test_other_containers_are_believed():
    times = [0, 10**10, 5]
    assert restamped(times, may_jump=False) == (times, [])


def test_a_spliced_transport_stream_shows_every_frame(make, split_video):
    # Given two recordings, whose clocks start hours apart, one after the other
    def part(start):
        pts = [start + i * 3003 for i in range(30)]
        sounds = [make.Sound("mp2", start_s=start / 90000)]
        return make.Video(
            pts=pts, format="mpegts", time_base=TICK, options={"bf": "0"}, sounds=sounds
        ).make()

    found = split_video(part(90000 * 9000) + part(90000 * 10))
    # Then the second follows the first, frame by frame
    numbers = [make.number_of(frame) for frame in found.frames()]
    assert numbers == [*range(30), *range(30)]
    steps = [b.pts - a.pts for a, b in itertools.pairwise(found.frames())]
    assert steps[:28] == [3003] * 28
    assert max(steps) < 90000
    assert any("clock jumps" in warning for warning in found.end.warnings)


def recording(make, sound: str) -> bytes:
    """Make a second and a half of a broadcast, with B-frames."""
    sounds = [make.Sound(sound, duration_s=1.5)]
    return make.Video(frames=45, format="mpegts", sounds=sounds).make()


def test_recordings_one_after_the_other_are_whole(make, split_video):
    # Given that FFmpeg marks the last picture of the first one as damaged, as the counters of its
    # packets do not go on
    data = recording(make, "mp2") * 2
    with av.open(io.BytesIO(data)) as source:
        assert any(packet.is_corrupt for packet in source.demux())
    found = split_video(data)
    assert (found.end.frames, found.end.damaged) == (90, False)
    steps = {b.pts - a.pts for a, b in itertools.pairwise(found.frames())}
    assert 3000 <= min(steps) <= max(steps) < 15000
    assert len(make.packets(found.side)) == len(make.packets(data))


def test_sound_in_another_codec_from_the_second_recording_on_is_missed(make, split_video):
    data = recording(make, "mp2") + recording(make, "ac3")
    found = split_video(data)
    assert found.end.frames == 90
    assert found.end.damaged


@pytest.mark.parametrize("missing", [0, 1])
def test_segments_of_a_stream_one_after_the_other_are_whole_if_their_times_go_on(
    make, split_video, missing
):
    # Given segments, each of which counts its packets anew, and perhaps one that begins late
    def segment(number):
        first = 30 * (number + 1) + missing * number
        sounds = [make.Sound("mp2", start_s=1.008 * (number + 1), duration_s=1.008)]
        return make.Video(
            pts=[(first + i) * 3003 for i in range(30)], format="mpegts", time_base=TICK,
            sounds=sounds,
        ).make()  # fmt: skip

    data = b"".join(map(segment, range(3)))
    with av.open(io.BytesIO(data)) as source:
        assert any(packet.is_corrupt for packet in source.demux())
    found = split_video(data)
    assert (found.end.frames, found.end.damaged) == (90, bool(missing))


@pytest.mark.parametrize(("longest_s", "damaged"), [(10.0, False), (60.0, True)])
def test_between_recordings_something_is_missing_unless_the_clock_has_jumped(
    make, split_video, longest_s, damaged
):
    # Given two recordings that are 20 s apart, which is a jump or a pause, as is asked for
    def part(start_s):
        return make.Video(
            pts=[90000 * start_s + i * 3003 for i in range(30)], format="mpegts", time_base=TICK,
            sounds=[make.Sound("mp2", start_s=start_s, duration_s=1)],
        ).make()  # fmt: skip

    data = part(1) + part(22)
    with av.open(io.BytesIO(data)) as source:
        assert any(packet.is_corrupt for packet in source.demux())
    found = split_video(data, SplitOptions(longest_pause_s=longest_s))
    assert (found.end.frames, found.end.damaged) == (60, damaged)
