"""Frames that the camera has moved are painted the same as before, at their new place."""

from __future__ import annotations

import dataclasses

import av
import numpy as np
import pytest

from shared.contracts.manifest import GridShift, Place
from shared.media.chunks import read_chunk
from shared.media.encodings import SEGMENT
from shared.media.pixels import plane_arrays
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_chunk
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.frames import Canvas, Frames
from stylizer.painting.layouts import I420, RGB, Layout
from tests.unit.stylizer.painting.test_chunk import chunk, luma

REACH = 56
"""Pixels from its edge within which a picture is painted otherwise."""


def grey(pixels: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "gray").reformat(
        format="yuv420p"
    )


@pytest.mark.parametrize("by", [(1, 0), (2, 3), (4, 7), (-3, -5)])
def test_by_whole_pixels_the_painting_moves_with_the_picture(by: tuple[int, int]) -> None:
    chance = np.random.default_rng(0)
    scene = chance.integers(40, 210, (60, 70), np.uint8).repeat(4, 0).repeat(4, 1)
    engine, side = OnnxEngine(Gallery(), "cpu"), 160

    def painted(down: int, across: int) -> np.ndarray:
        corner = (down % 4, across % 4)
        batch = RGB.batch(1, side, side, room=3)
        seen = scene[20 + down : 20 + down + side, 20 + across : 20 + across + side]
        RGB.put(grey(seen), batch[0], corner)
        place = [4 * (down - corner[0]), 4 * (across - corner[1])]
        (picture,) = engine.paint("starry-night", batch, np.array([place], np.int32))
        return plane_arrays(RGB.take(picture, side, side, corner))[0].astype(int)

    def inside(picture: np.ndarray, down: int, across: int) -> np.ndarray:
        edge = REACH + 8
        return picture[edge - down : side - edge - down, edge - across : side - edge - across]

    still, moved = inside(painted(0, 0), 0, 0), inside(painted(*by), *by)
    # (The canvas is computed from other numbers there, which may round a pixel otherwise.)
    assert np.abs(still - moved).max() <= 1
    assert (still != moved).mean() < 0.01


@pytest.mark.parametrize("layout", [RGB, I420()], ids=["rgb", "i420"])
@pytest.mark.parametrize("corner", [(0, 0), (1, 2), (3, 3), (2, 1)])
def test_a_picture_comes_back_from_any_corner(layout: Layout, corner: tuple[int, int]) -> None:
    down, across = np.mgrid[0:50, 0:66]
    source = grey((80 + down + across).astype(np.uint8))
    for plane, slope in zip(plane_arrays(source)[1:], (2, -2), strict=True):
        plane[...] = 128 + slope * (down[::2, ::2] + across[::2, ::2] - 60) // 8
    batch = layout.batch(2, 66, 50, room=3)
    batch[...] = 0
    layout.put(source, batch[1], corner)
    assert layout.size(batch.shape) == (72, 56)
    back = layout.take(batch[1], 66, 50, corner)
    for one, other in zip(plane_arrays(source), plane_arrays(back), strict=True):
        assert np.abs(one.astype(int) - other).max() <= 2
    assert batch[1].min() > 0, "the edge is repeated all round"


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_moved_frames_are_placed_on_the_grid_and_come_back_in_place(batch: int) -> None:
    # Given a chunk of which two frames are unmoved, and the others on their way
    pts = [1001 * number for number in range(6)]
    event, mezzanine = chunk(pts, 66, 50)
    shifts = [(0, 0), (0, 0), (0, 1), (-1, 2), (4, 8), (5, 10)]
    told = {
        "canvas": tuple(Place(4 * down, 4 * across) for down, across in shifts),
        "grid": tuple(GridShift(*shift) for shift in shifts),
    }
    event = event.model_copy(update={"chunk": dataclasses.replace(event.chunk, **told)})
    seen: list[tuple[tuple[int, ...], list[int]]] = []

    def negative(_style: str, frames: Frames, canvas: Canvas, **_: object) -> Frames:
        seen.extend((frames.shape[2:], place) for place in canvas.tolist())
        return 255 - frames

    # When it is painted
    segment = paint_chunk(event, mezzanine, negative, batch=batch, encoding=SEGMENT)
    # Then all begin at whole cells of the canvas, with room for their corners where they moved
    places = [[0, 0], [0, 0], [0, 0], [-16, 0], [16, 32], [16, 32]]
    assert seen == list(zip([(52, 68)] * 2 + [(56, 72)] * 4, places, strict=True))
    # And pictures are where they were
    for source, result in zip(read_chunk(mezzanine), read_chunk(segment), strict=True):
        assert np.abs(255 - luma(source) - luma(result)).mean() < 6


def test_pictures_are_the_same_however_many_are_painted_together() -> None:
    event, mezzanine = chunk([1001 * number for number in range(5)], 64, 48)
    told = {
        "canvas": tuple(Place(n, 4 * n) for n in range(5)),
        "grid": tuple(GridShift(0, n) for n in range(5)),
    }
    event = event.model_copy(update={"chunk": dataclasses.replace(event.chunk, **told)})
    engine = OnnxEngine(Gallery(), "cpu")

    def paint(_style: str, frames: Frames, canvas: Canvas, **_: object) -> Frames:
        return engine.paint("starry-night", frames, canvas)

    one, other = (
        paint_chunk(event, mezzanine, paint, batch=batch, encoding=SEGMENT) for batch in (1, 5)
    )
    assert one == other
