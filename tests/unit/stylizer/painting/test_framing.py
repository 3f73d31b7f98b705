"""Bars stay as they are, and strokes scale with the picture's size."""

from __future__ import annotations

import dataclasses

import av
import numpy as np
import pytest

from shared.contracts.manifest import Bars, Place
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import read_chunk
from shared.media.encodings import SEGMENT
from shared.media.pixels import plane_arrays
from stylizer.painting.chunk import paint_chunk, paint_picture
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.framing import Framing
from tests.unit.stylizer.painting.test_chunk import chunk


def picture(width: int, height: int) -> av.VideoFrame:
    ramp = np.tile(np.linspace(30, 220, width, dtype=np.uint8), (height, 1))
    return av.VideoFrame.from_ndarray(ramp, format="gray").reformat(format="yuv420p")


def stripes(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
    """Paint stripes of eight pixels, as a network has strokes of so many."""
    painted = np.zeros_like(frames)
    painted[..., np.arange(frames.shape[-1]) // 8 % 2 == 0] = 255
    return painted


def stripe_width(frame: av.VideoFrame) -> float:
    """Return the mean width of the stripes, in parts of the picture's height."""
    row = plane_arrays(frame)[0][frame.height // 2].astype(int)
    edges = np.count_nonzero(np.diff(row > 128))
    return frame.width / (edges + 1) / frame.height


@pytest.mark.parametrize(("lines", "brush"), [(1080, None), (2160, None), (720, 360), (480, 240)])
def test_strokes_are_as_large_a_part_of_the_picture_as_at_the_working_height(
    lines: int, brush: int | None
) -> None:
    style = StyleRequest(style="s", brush=brush)
    small = picture(style.lines * 16 // 9, style.lines)
    large = picture(lines * 16 // 9, lines)
    painted = paint_picture(large, stripes, style)
    assert (painted.width, painted.height) == (large.width, large.height)
    expected = stripe_width(paint_picture(small, stripes, style))
    assert stripe_width(painted) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (720, 1280), (64, 48)])
def test_a_picture_of_no_more_lines_is_painted_at_its_own_size(width: int, height: int) -> None:
    seen = []

    def look(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
        seen.append(frames.shape[2:])
        return frames

    paint_picture(picture(width, height), look, StyleRequest(style="s"))
    assert seen == [(height, width)]


def test_an_upright_picture_is_measured_by_its_width() -> None:
    assert Framing.of(1080, 1920, Bars(), 720).working == (720, 1280)


@pytest.mark.parametrize("wish", [{}, {"strength": 0.5}, {"preserve_color": True}, {"brush": 64}])
def test_bars_are_unchanged_and_the_rest_is_painted(wish: dict[str, object]) -> None:
    # Given a chunk with bars at the top and the left
    bars = Bars(top=12, left=16)
    event, mezzanine = chunk([0, 1001, 2002, 4000], 128, 96)
    event = event.model_copy(
        update={
            "chunk": dataclasses.replace(event.chunk, bars=bars),
            "style": StyleRequest(style="s", **wish),
        }
    )
    shapes = []

    def white(_style: str, frames: Frames, _canvas: Canvas, **_: object) -> Frames:
        shapes.append(frames.shape[2:])
        return np.full_like(frames, 255)

    # When it is painted white
    segment = paint_chunk(event, mezzanine, white, batch=2, encoding=SEGMENT)
    # Then the network saw only what is between the bars, and the bars are the source's
    assert {(-(-h // 4) * 4, -(-w // 4) * 4) for h, w in shapes} == set(shapes)
    originals = list(read_chunk(mezzanine))
    for source, painted in zip(originals, read_chunk(segment, frames=4), strict=True):
        before, after = (plane_arrays(frame)[0].astype(int) for frame in (source, painted))
        outside = np.ones_like(before, dtype=bool)
        outside[12:, 16:] = False
        outside[8:16], outside[:, 12:20] = False, False  # (the encoder rings at the border)
        assert np.abs(after - before)[outside].max() < 12
        assert after[20:, 24:].mean() > before[20:, 24:].mean() + 25


def test_a_part_that_is_painted_smaller_has_the_same_place_on_the_canvas_as_in_the_picture() -> (
    None
):
    framing = Framing.of(1280, 720, Bars(top=80, bottom=80), 360)
    assert framing.place(Place(0, 0)) == Place(160, 0)
    assert framing.place(Place(-320, 100)) == Place(0, 50)
