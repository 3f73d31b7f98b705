"""Interlaced pictures become whole ones, as many as before and at the same times."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from shared.media.pixels import plane_arrays

SIZE = (160, 64)


def bar(position, width=SIZE[0], height=SIZE[1]):
    """A white bar on grey, at a place that tells the moment."""
    picture = np.full((height, width), 60, np.uint8)
    picture[:, position : position + 12] = 220
    return picture


def woven(number, width, height):
    """Two moments of a moving bar in one picture: odd lines first, as x264 codes it here."""
    picture = bar(6 * number, width, height)
    picture[0::2] = bar(6 * number + 3, width, height)[0::2]
    return picture


def combing(frame):
    """How much neighbouring lines differ in the upper half of the picture."""
    luma = plane_arrays(frame)[0].astype(int)
    return float(abs(luma[1:] - luma[:-1]).mean())


@pytest.fixture
def interlaced(make):
    """An interlaced video of twenty frames."""

    def make_video(**changes):
        options = {"qp": "2", "bf": "0", "flags": "+ildct+ilme"}
        return make.Video(frames=20, size=SIZE, draw=woven, options=options, **changes).make()

    return make_video


def test_deinterlaced_frames_have_no_combs(interlaced, split_video):
    data = interlaced()
    found = split_video(data)
    with av.open(io.BytesIO(data)) as container:
        before = list(container.decode(video=0))
    assert all(frame.interlaced_frame for frame in before)
    pairs = list(zip(before, found.frames(), strict=True))[1:-1]
    left = [combing(after) / combing(frame) for frame, after in pairs]
    assert max(left) < 0.34, left


def test_every_frame_is_made_into_one_at_its_time(interlaced, split_video):
    # Given twenty frames at irregular times
    pts = [i * 1001 + (i % 3) for i in range(20)]
    found = split_video(interlaced(pts=pts))
    # Then twenty come out at these times, each showing its first moment
    assert [frame.pts for frame in found.frames()] == pts
    for number, frame in enumerate(found.frames()):
        row = plane_arrays(frame)[0][0]
        assert abs(int(np.argmax(row > 140)) - 6 * number) <= 1


def test_a_single_interlaced_frame_comes_through(make, split_video):
    options = {"qp": "2", "flags": "+ildct"}
    data = make.Video(frames=1, size=SIZE, draw=woven, options=options).make()
    assert split_video(data).end.frames == 1


def test_progressive_video_is_left_alone(make, split_video, psnr):
    video = make.Video(frames=5, size=SIZE, draw=lambda n, w, h: bar(2 * n, w, h), colour=(1, 1))
    found = split_video(video.make())
    assert all(psnr(a, b) > 38 for a, b in zip(video.pictures(), found.frames(), strict=True))
    assert found.source.time_base == Fraction(1, 30000)
