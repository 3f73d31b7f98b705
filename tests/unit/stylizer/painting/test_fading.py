"""A fade to black ends in black, whatever the darkest colour of the style's painting is."""

from __future__ import annotations

import av
import numpy as np
import pytest

from shared.contracts.style_request import StyleRequest
from shared.media.pixels import luma, plane_arrays
from shared.styles.gallery import Gallery
from stylizer.painting.chunk import paint_picture
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.fading import brightness

WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(Gallery(), "cpu")


def picture(peak: int) -> av.VideoFrame:
    """Return a picture of squares whose luma is between black and ``peak``."""
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    light, *chroma = plane_arrays(frame)
    squares = np.random.default_rng(3).uniform(0, 1, (HEIGHT // 8, WIDTH // 8))
    squares[0, 0] = 1
    light[...] = np.round(16 + squares.repeat(8, 0).repeat(8, 1) * (peak - 16))
    for plane in chroma:
        plane[...] = 128
    return frame


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
    assert fade[1] > 60
    assert fade[-1] == 16


@pytest.mark.parametrize("peak", [80, 120, 235])
def test_a_picture_with_light_is_painted_at_its_full_brightness(peak: int) -> None:
    letter = picture(16)
    luma(letter)[24:32, 40:44] = peak
    assert brightness(letter) == 100


def test_what_is_kept_of_a_black_source_is_black_too(engine: OnnxEngine) -> None:
    style = StyleRequest(style="great-wave", strength=0.5, preserve_color=True)
    painted = paint_picture(picture(16), engine.paint, style)
    assert luma(painted).max() == 16
