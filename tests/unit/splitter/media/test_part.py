"""A part of a video is cut out to the frame, and its sound with it."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from assembler.mux import mux
from assembler.verify import verify
from shared.contracts.errors import SourceRefused
from shared.contracts.style_request import StyleRequest
from splitter.media.part import Part
from splitter.media.split import SplitOptions

TICK = Fraction(1, 30000)


def cut(**wish: float) -> SplitOptions:
    return SplitOptions(chunk_frames=8, part=Part.of(StyleRequest(style="x", **wish)))


@pytest.fixture
def video(make):
    return make.Video(frames=90, sounds=[make.Sound("flac", duration_s=3.0)])


@pytest.mark.parametrize(
    "wish",
    [
        {"start": 1.0},
        {"start": 0.5005, "duration": 0.25},
        {"duration": 1.001},
        {"max_frames": 10},
        {"start": 1.3, "max_frames": 7},
        {"start": 2.0, "duration": 50.0, "max_frames": 1000},
    ],
)
def test_exactly_the_frames_of_the_part_are_there_and_their_sound(
    make, split_video, tmp_path, video, wish
):
    # Given the frames that lie in the part
    start = Fraction(round(wish.get("start", 0) * 1000), 1000)
    end = start + Fraction(round(wish.get("duration", 1000) * 1000), 1000)
    all_times = [pts * TICK for pts in video.timestamps()]
    inside = [(n, t) for n, t in enumerate(all_times) if start <= t < end]
    inside = inside[: wish.get("max_frames", len(inside))]
    # When the part is split, and joined again
    data = video.make()
    found = split_video(data, cut(**wish))
    # Then these frames are there, at their times from the part's beginning
    assert [make.number_of(frame) for frame in found.frames()] == [n for n, _ in inside]
    shifts = {
        round((t - f.pts * TICK) / TICK) for (_, t), f in zip(inside, found.frames(), strict=True)
    }
    assert len(shifts) == 1
    assert abs(shifts.pop() - start / TICK) <= 1
    # And the sound that is heard with them, to the sample at the end
    last, _ = inside[-1]
    end = min(end, all_times[last + 1] if last + 1 < len(all_times) else end)
    before = make.packets(data)
    length = before[1][0] - before[0][0]
    heard = [(t, data) for t, data in before if t + length > start and t < end]
    after = make.packets(found.side)
    assert [data for _, data in after] == [data for _, data in heard]
    assert all(
        abs(b - a - start) <= Fraction(1, 48000)
        for (a, _), (b, _) in zip(after, heard, strict=True)
    )
    out = tmp_path / "result.mp4"
    mux(found.manifest(), iter(found.segments()), found.side, out)
    verify(found.manifest(), found.side, out)
    # And nothing is called a loss
    assert found.end.warnings == ()


def test_reading_stops_soon_after_the_part(make, split_video, tmp_path):
    # Given a long video whose end is damaged
    data = bytearray(make.Video(frames=900, size=(16, 16), options={"g": "30", "bf": "0"}).make())
    start = data.index(b"mdat") + 4
    moov = data.index(b"moov") - 4
    data[start + (moov - start) * 3 // 4 : moov] = bytes(moov - start - (moov - start) * 3 // 4)
    # Then a part of its beginning is whole
    found = split_video(bytes(data), cut(duration=1))
    assert found.end.frames == 30
    assert not found.end.damaged


def test_a_part_behind_the_end_is_refused_in_a_sentence(make, split_video, video):
    with pytest.raises(SourceRefused) as refusal:
        split_video(video.make(), cut(start=3600))
    assert refusal.value.code == "NOTHING_TO_PAINT"
    assert "3600 s" in refusal.value.message


def test_the_parts_of_a_video_are_the_whole(make, split_video, video):
    data = video.make()
    numbers = []
    for start, end in itertools.pairwise([0, 0.7, 1.4, 2.1, 100]):
        found = split_video(data, cut(start=start, duration=end - start))
        numbers += [make.number_of(frame) for frame in found.frames()]
    assert numbers == list(range(90))
