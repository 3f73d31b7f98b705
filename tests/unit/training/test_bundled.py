"""Properties of every bundled style, checked on the sample clip."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'train'")
pytest.importorskip("cv2", reason="measuring steadiness needs the extra 'train'")

import local
from shared.styles.gallery import Gallery, Precision
from stylizer.painting.engine import OnnxEngine
from training.evaluate import decibels
from training.looks import grid
from training.steadiness import Frames, Paint, under_noise

STYLES = sorted(Gallery().styles)


def painter(style: str, precision: Precision = "fp32") -> Paint:
    engine = OnnxEngine(Gallery(), "cpu", precision=precision)
    return lambda frame: engine.paint(style, frame)


@pytest.fixture(scope="module")
def picture() -> Frames:
    with av.open(str(Path(local.__file__).parent / "sample.mp4")) as clip:
        frame = next(clip.decode(video=0)).to_ndarray(width=640, height=360, format="rgb24")
    return np.ascontiguousarray(frame.transpose(2, 0, 1)[None])


@pytest.mark.parametrize("style", STYLES)
def test_a_bundled_style_is_steady(style: str, picture: Frames) -> None:
    paint = painter(style)
    assert under_noise(paint, picture) <= 3.5
    assert grid(paint) <= 1, "walls must not show the network's cells"


@pytest.mark.parametrize("style", STYLES)
def test_a_bundled_style_is_all_but_the_same_in_fp16(style: str, picture: Frames) -> None:
    exact = painter(style)(picture)
    assert exact.std() > 20, "a picture of one colour would prove nothing"
    assert decibels(painter(style, "fp16")(picture), exact) >= 55


def test_bundled_styles_are_of_one_trunk() -> None:
    assert len({style.card.trunk for style in Gallery().styles.values()}) == 1
