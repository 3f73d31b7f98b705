"""The engine paints with the bundled networks, and never runs elsewhere than it was told to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from shared.errors import ConfigurationError, StyleError
from shared.styles.gallery import Gallery
from stylizer.engine import OnnxEngine


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(Gallery(), "cpu")


@pytest.mark.parametrize("style", list(Gallery().styles))
@pytest.mark.parametrize("size", [(16, 16), (180, 320), (8, 1024)])
def test_every_bundled_style_paints_frames_of_the_same_shape(
    engine: OnnxEngine, style: str, size: tuple[int, int]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, *size), np.uint8)
    painted = engine.paint(style, frames)
    assert painted.shape == frames.shape
    assert painted.dtype == np.uint8
    assert np.abs(painted.astype(int) - frames).mean() > 10, "nothing was painted"


def test_painting_repeats_to_the_bit(engine: OnnxEngine) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 64), np.uint8)
    first = engine.paint("starry-night", frames)
    assert np.array_equal(first, engine.paint("starry-night", frames))


def test_asking_for_a_gpu_that_is_not_there_is_a_configuration_error() -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this installation has a GPU provider")
    with pytest.raises(ConfigurationError, match="ENGINE=cuda"):
        OnnxEngine(Gallery(), "cuda")


def test_a_file_that_is_no_network_is_refused_by_the_styles_name(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    card = {
        "title": "T",
        "painter": "P",
        "licence": "L",
        "sha256": hashlib.sha256(b"no network").hexdigest(),
    }
    (tmp_path / "broken.json").write_text(json.dumps(card))
    engine = OnnxEngine(Gallery(tmp_path), "cpu")
    with pytest.raises(StyleError, match="broken"):
        engine.paint("broken", np.zeros((1, 3, 8, 8), np.uint8))
