"""Rounding to bytes in one step."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from shared.styles.gallery import Gallery
from stylizer.painting.rounding import round_at_once


def run(network: bytes, **given: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, given)[0]
    return result


def steps(network: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(network).graph.node]


def network(*, bias: float, white: float = 255) -> bytes:
    """Return a network that doubles numbers, adds ``bias``, and makes bytes of them."""
    nodes = [
        helper.make_node("Conv", ["numbers", "weight", "bias"], ["sum"]),
        helper.make_node("Clip", ["sum", "black", "white"], ["within"]),
        helper.make_node("Cast", ["within"], ["bytes"], to=TensorProto.UINT8),
    ]
    constants = {
        "weight": np.full((1, 1, 1, 1), 2, np.float32),
        "bias": np.full(1, bias, np.float32),
        "black": np.float32(0),
        "white": np.float32(white),
    }
    ends = [
        helper.make_tensor_value_info(name, kind, [1, 1, 1, "W"])
        for name, kind in (("numbers", TensorProto.FLOAT), ("bytes", TensorProto.UINT8))
    ]
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "bytes", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.mark.parametrize("bias", [0, 0.5])
def test_bytes_are_those_of_truncation(bias: float) -> None:
    numbers = np.arange(-40, 200, 0.125, np.float32).reshape(1, 1, 1, -1)
    whole = network(bias=bias)
    quick = round_at_once(whole)
    assert steps(quick) == ["Conv", "QuantizeLinear"]
    assert np.array_equal(run(quick, numbers=numbers), run(whole, numbers=numbers))


def test_a_network_that_makes_its_bytes_otherwise_stays_as_it_is() -> None:
    darker = network(bias=0.5, white=200)
    assert round_at_once(darker) == darker


def test_a_style_is_painted_alike() -> None:
    whole = Gallery().find_all("starry-night")[0][0].network("fp32")
    frames = np.random.default_rng(0).integers(0, 256, (1, 3, 40, 56), np.uint8)
    given = {"frames": frames, "canvas": np.zeros((1, 2), np.int32)}
    quick = round_at_once(whole)
    assert "Clip" not in steps(quick)
    apart = np.abs(run(quick, **given).astype(int) - run(whole, **given))
    assert apart.max() <= 1
    assert np.mean(apart) < 0.01
