"""Makes ONNX files for tests: networks that behave badly on purpose."""

from __future__ import annotations

import hashlib
import json

import onnx
from onnx import TensorProto, helper


def endless() -> bytes:
    """Return a network with a style's signature that paints a tiny picture, and no other ever.

    It counts in a loop, 2**62 times for pictures wider than 64 pixels.
    """
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", 3, "h", "w"])
    painted = helper.make_tensor_value_info("painted", TensorProto.UINT8, ["n", 3, "h", "w"])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("Add", ["count", "one"], ["counted"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("counted", TensorProto.INT64, []),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["turns", "true", "zero"], ["total"], body=body),
        helper.make_node("Cast", ["total"], ["small"], to=TensorProto.UINT8),
        helper.make_node("BitwiseAnd", ["small", "nothing"], ["none"]),
        helper.make_node("BitwiseOr", ["frames", "none"], ["painted"]),
    ]
    turns = 1 << 62
    constants = [
        helper.make_tensor("turns", TensorProto.INT64, [], [turns]),
        helper.make_tensor("one", TensorProto.INT64, [], [1]),
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
        helper.make_tensor("nothing", TensorProto.UINT8, [], [0]),
    ]
    graph = helper.make_graph(nodes, "endless", [frames], [painted], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def card(title: str, network: bytes) -> str:
    """Return the card of a network."""
    return json.dumps(
        {
            "title": title,
            "painter": "nobody",
            "licence": "MIT",
            "sha256": hashlib.sha256(network).hexdigest(),
        }
    )
