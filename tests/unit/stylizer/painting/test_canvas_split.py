"""Separating the canvas from networks."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.styles.gallery import Gallery
from stylizer.painting.canvas_split import split


def run(network: bytes, *given: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    result: np.ndarray = session.run(None, dict(zip(names, given, strict=True)))[0]
    return result


@pytest.mark.parametrize("place", [(0, 0), (-3333, 777)])
def test_the_parts_of_a_network_paint_what_it_paints(place: tuple[int, int]) -> None:
    network = Gallery().find_all("starry-night")[0][0].network("fp32")
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 40, 56), np.uint8)
    canvas = np.array([place], np.int32)
    parts = split(network)
    assert parts is not None
    drawn = run(parts.drawing, np.zeros_like(frames[:1]), canvas)
    painted = run(parts.painting, frames, drawn)
    assert np.array_equal(painted, run(network, frames, canvas))
    other = run(parts.painting, frames, run(parts.drawing, frames[:1], canvas + 400))
    assert np.abs(painted.astype(int) - other).max() > 1


def network(*, of_pixels: bool) -> bytes:
    """Return a network whose canvas is mixed with the frames' pixels, or with their size alone."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["frames"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Mul", ["whole", "one" if of_pixels else "zero"], ["flat"]),
        helper.make_node("ReduceSum", ["canvas", "axis"], ["place"]),
        helper.make_node("Add", ["flat", "place"], ["placed"]),
        helper.make_node("Cast", ["placed"], ["drawn"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["drawn", "weight"], ["laid"]),
        helper.make_node("Add", ["pixels", "laid"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["painted"], to=TensorProto.UINT8),
    ]
    constants = {
        "zero": np.int32(0),
        "one": np.int32(1),
        "axis": np.array([0, 1], np.int64),
        "weight": np.ones((3, 3, 1, 1), np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "style",
        [
            helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", 3, "H", "W"]),
            helper.make_tensor_value_info("canvas", TensorProto.INT32, ["N", 2]),
        ],
        [helper.make_tensor_value_info("painted", TensorProto.UINT8, ["N", 3, "H", "W"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def test_a_canvas_that_pixels_change_stays_where_it_is() -> None:
    assert split(network(of_pixels=True)) is None
    assert split(network(of_pixels=False)) is not None


def test_a_drawing_pads_the_frames_bytes() -> None:
    parts = split(Gallery().find_all("starry-night")[0][0].network("fp32"))
    assert parts is not None
    nodes = onnx.load_from_string(parts.drawing).graph.node
    assert [node.op_type for node in nodes if "frames" in node.input] == ["Pad"]


def test_a_network_without_a_canvas_has_one_part() -> None:
    frames = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", 3, "H", "W"])
        for name in ("frames", "painted")
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["frames"], ["painted"])], "style", frames[:1], frames[1:]
    )
    assert split(helper.make_model(graph).SerializeToString()) is None
