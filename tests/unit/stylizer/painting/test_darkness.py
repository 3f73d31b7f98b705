"""What is dark in a picture stays dark, whatever the darkest colour of the style's painting is."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.style_request import StyleRequest
from shared.media.pixels import luma, plane_arrays
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_picture
from stylizer.painting.darkness import darken, darkness
from stylizer.painting.engine import OnnxEngine

WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(Gallery(), "cpu")


def grey(
    light: NDArray[np.float64] | float, width: int = WIDTH, height: int = HEIGHT
) -> av.VideoFrame:
    """Return a picture without colours of this luma."""
    frame = av.VideoFrame(width, height, "yuv420p")
    first, *chroma = plane_arrays(frame)
    first[...] = np.round(light)
    for plane in chroma:
        plane[...] = 128
    return frame


def picture(peak: int) -> av.VideoFrame:
    """Return a picture of squares whose luma is between black and ``peak``."""
    squares = np.random.default_rng(3).uniform(0, 1, (HEIGHT // 8, WIDTH // 8))
    squares[0, 0] = 1
    return grey(16 + squares.repeat(8, 0).repeat(8, 1) * (peak - 16))


def night(lamp: int) -> av.VideoFrame:
    """Return a black picture with a wall of luma 200 that begins at the column ``lamp``."""
    light = np.full((360, 640), 18.0)
    light[:, lamp : lamp + 200] = 200
    return grey(light, 640, 360)


def darkened(source: av.VideoFrame, painted: int) -> NDArray[np.uint8]:
    """Return the luma of an even painting after it was darkened."""
    frame = grey(painted, source.width, source.height)
    darken(frame, darkness(source))
    return luma(frame)


@pytest.mark.parametrize("style", sorted(Gallery().styles))
def test_black_is_painted_black(engine: OnnxEngine, style: str) -> None:
    painted = paint_picture(picture(16), engine.paint, StyleRequest(style=style))
    for black, plane in zip((16, 128, 128), plane_arrays(painted), strict=True):
        assert np.ptp(plane) == 0
        assert plane[0, 0] == black


def test_a_painting_fades_with_its_picture(engine: OnnxEngine) -> None:
    style = StyleRequest(style="wheatfield")
    fade = [
        luma(paint_picture(picture(peak), engine.paint, style)).mean()
        for peak in (235, 80, 60, 40, 30, 20)
    ]
    assert fade == sorted(fade, reverse=True)
    assert fade[1] > 55
    assert fade[-1] == 16


@pytest.mark.parametrize("style", ["wheatfield", "great-wave", "saint-tropez"])
def test_the_dark_half_of_a_picture_is_painted_dark_with_strokes(
    engine: OnnxEngine, style: str
) -> None:
    light = np.full((180, 320), 20.0)
    light[:, 160:] = 180
    painted = luma(paint_picture(grey(light, 320, 180), engine.paint, StyleRequest(style=style)))
    dark, lit = painted[:, :130], painted[:, 190:]
    assert 35 < dark.mean() < 60
    assert dark.std() > 3
    assert lit.mean() > 2 * dark.mean()


def test_what_is_lit_beside_the_dark_keeps_its_brightness() -> None:
    painted = darkened(night(lamp=220), 120)
    assert np.all(painted[:, 260:380] == 120)
    assert np.all(painted[:, :180] == 16 + 36)
    assert painted.max() == 120


def test_darkness_ends_gradually() -> None:
    painted = darkened(night(lamp=220), 120).astype(int)
    assert np.abs(np.diff(painted, axis=1)).max() <= 8


def test_a_painting_that_is_dark_enough_is_left_as_it_is() -> None:
    assert np.all(darkened(night(lamp=220), 50) == 50)


def test_a_bright_picture_has_no_darkness() -> None:
    letters = grey(120.0)
    luma(letters)[24:28, 40:44] = 16
    assert darkness(letters) is not None
    assert darkness(grey(60.0)) is None
    assert np.all(darkened(grey(60.0), 200) == 200)


def test_darkness_moves_with_its_picture() -> None:
    still = darkened(night(lamp=220), 120).astype(int)
    for moved in range(1, 9):
        painted = darkened(night(lamp=220 + moved), 120).astype(int)
        assert np.abs(painted[:, moved:] - still[:, :-moved]).max() <= 8


@pytest.mark.parametrize(("width", "height"), [(2, 2), (2, 2000), (4000, 2), (46, 90), (638, 358)])
def test_pictures_of_every_size_are_darkened(width: int, height: int) -> None:
    assert np.all(darkened(grey(16, width, height), 120) == 16)
    lamp = grey(20, width, height)
    luma(lamp)[:1, :1] = 235
    assert darkened(lamp, 120).min() < 80


def test_what_is_kept_of_a_black_source_is_black_too(engine: OnnxEngine) -> None:
    style = StyleRequest(style="great-wave", strength=0.5, preserve_color=True)
    painted = paint_picture(picture(16), engine.paint, style)
    assert luma(painted).max() == 16
