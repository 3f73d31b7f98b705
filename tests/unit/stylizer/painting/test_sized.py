"""Networks on the processor have a session for each shape of frames."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from shared.styles.gallery import Gallery
from stylizer.painting.sessions import Sessions
from stylizer.painting.sized import SizedPainter, Sizes

NETWORK = Gallery().find_all("starry-night")[0][0].network("fp32")
SHAPES = [(1, 3, 40, 56), (1, 3, 44, 60), (3, 3, 40, 56), (1, 3, 64, 36), (2, 3, 36, 64)]
PLACE = np.array([[-33, 777]], np.int32)


class Starts:
    """Starts sessions, and counts them by the sizes that they are for."""

    def __init__(self) -> None:
        self.sizes: Counter[tuple[int, ...]] = Counter()
        self._sessions = Sessions("cpu", None)

    def __call__(self, sizes: Sizes) -> ort.InferenceSession:
        self.sizes[tuple(sizes[name] for name in ("N", "H", "W"))] += 1
        return self._sessions.start("starry-night", NETWORK, sizes=sizes)


def frames(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_each_shape_is_opened_once_and_painted_as_a_session_for_any_size_paints_it() -> None:
    starts = Starts()
    paint, any_size = (
        SizedPainter(NETWORK, starts),
        Sessions("cpu", None).passing_painter("s", NETWORK),
    )
    for shape in SHAPES[:2] * 2:
        painted, expected = paint(frames(*shape), PLACE), any_size(frames(*shape), PLACE)
        assert np.abs(painted.astype(int) - expected).max() <= 1
    assert starts.sizes == {(1, 40, 56): 1, (1, 44, 60): 1}


def test_only_the_shapes_used_last_stay_open() -> None:
    starts = Starts()
    paint = SizedPainter(NETWORK, starts)
    for shape in [*SHAPES, SHAPES[-1], SHAPES[0]]:
        paint(frames(*shape), PLACE)
    assert starts.sizes[1, 40, 56] == 2
    assert starts.sizes.total() == len(SHAPES) + 1


@pytest.mark.parametrize("places", [1, 3])
def test_a_batch_is_painted_like_its_frames_one_by_one(places: int) -> None:
    paint = Sessions("cpu", None).painter("starry-night", NETWORK)
    batch, canvas = frames(3, 3, 40, 56), PLACE.repeat(places, axis=0)
    singly = [paint(one[None], PLACE) for one in batch]
    assert np.array_equal(paint(batch, canvas), np.concatenate(singly))


def test_additions_disappear_into_convolutions(tmp_path: Path) -> None:
    def additions(sizes: Sizes) -> int:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        for name, length in sizes.items():
            options.add_free_dimension_override_by_name(name, length)
        ort.InferenceSession(NETWORK, options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
        return sum(node.op_type == "Add" and not node.name.startswith("canvas") for node in nodes)

    assert additions({}) == 2
    assert additions({"N": 1, "H": 40, "W": 56, "places": 1}) == 0


def test_sides_of_one_name_may_have_different_lengths() -> None:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", 3, "side", "side"])
        for name in ("frames", "painted")
    ]
    node = helper.make_node("Identity", ["frames"], ["painted"])
    opset = helper.make_opsetid("", 17)
    graph = helper.make_graph([node], "style", ends[:1], ends[1:])
    network = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    paint = Sessions("cpu", None).painter("same", network)
    for shape in SHAPES:
        assert np.array_equal(paint(frames(*shape), PLACE), frames(*shape))
