"""Networks rewritten for a GPU paint the same: graph and frame layout, run on the processor."""

from __future__ import annotations

import av
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from styles import network

from shared.media.pixels import from_planar_rgb
from shared.styles.gallery import Gallery, Precision
from stylizer.painting.gpu_network import for_gpu
from stylizer.painting.layouts import I420, RGB, Layout

SIZE = (102, 70)
"""Width and height, which have an edge to be repeated."""


def picture(seed: int) -> av.VideoFrame:
    """Return a frame with light and dark, colours, and hard edges."""
    width, height = SIZE
    down, across = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed)
    planes = [127 + 120 * np.sin(across / 17 + k + seed) * np.cos(down / 13 - k) for k in range(3)]
    coarse = noise.integers(-60, 60, (3, height // 14, width // 17))
    blocks = coarse.repeat(14, axis=1).repeat(17, axis=2)
    return from_planar_rgb((np.stack(planes) + blocks).clip(0, 255).astype(np.uint8))


def painted(data: bytes, layout: Layout, frames: list[av.VideoFrame]) -> list[np.ndarray]:
    """Return the planes of what a network makes of frames."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    batch = layout.batch(len(frames), *SIZE)
    for frame, place in zip(frames, batch, strict=True):
        layout.put(frame, place)
    places = np.array([[8 * k, 3] for k in range(len(frames))], np.int32)
    names = [given.name for given in session.get_inputs()]
    (pictures,) = session.run(None, dict(zip(names, (batch, places), strict=False)))
    return [layout.take(one, *SIZE).to_ndarray().astype(int) for one in pictures]


def apart(data: bytes) -> np.ndarray:
    """Return by how many levels the rewritten network's pictures differ from the others."""
    frames = [picture(seed) for seed in range(2)]
    plain = painted(data, RGB, frames)
    rewritten = painted(for_gpu(data), I420(), frames)
    return np.abs(np.subtract(plain, rewritten))


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_colours_are_converted_in_the_network_as_outside_it(gain: float) -> None:
    levels = apart(network(gain))
    assert levels.max() <= 1
    assert levels.mean() < 0.02


@pytest.mark.parametrize(
    ("precision", "most", "mean"), [("fp32", 3, 0.05), ("fp16", 6, 0.2)], ids=["fp32", "fp16"]
)
def test_a_style_paints_alike(precision: Precision, most: int, mean: float) -> None:
    levels = apart(Gallery().find("starry-night").network(precision))
    assert levels.max() <= most
    assert levels.mean() < mean


def test_every_bundled_network_loses_the_biases_and_steps_that_cost_a_gpu_most() -> None:
    for style in Gallery().styles.values():
        data = style.network("fp16")
        before, after = (onnx.load_from_string(d).graph.node for d in (data, for_gpu(data)))
        biases = [
            sum(n.op_type == "Conv" and len(n.input) == 3 for n in g) for g in (before, after)
        ]
        assert biases == [26, 16], style.name
        assert not any(node.op_type == "Transpose" for node in after)
        assert sum(node.op_type == "DepthToSpace" for node in after) == 1
