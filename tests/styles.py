"""Tiny style networks with a known effect: each multiplies every pixel by one weight."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def network(
    gain: float = 0.5,
    trunk: str | None = None,
    *,
    element: int = UINT8,
    shape: tuple[str | int, ...] = ("n", 3, "h", "w"),
    outputs: int = 1,
    before: str = "Identity",
    raw: bool = True,
    label: bytes | None = None,
    canvas: bool = False,
) -> bytes:
    """Return a network that paints ``gain`` times its input.

    ``before`` is an operator that comes first, to tell two structures apart; ``raw`` stores the
    weight as bytes, as exporters do; ``label`` is an unused tensor of int8. With a ``canvas``, what
    is painted gets brighter by the sum of each frame's place on it.
    """
    names = [f"painted{index}" for index in range(outputs)]
    weight = np.full((1, 1, 1, 1), gain, np.float32)
    tensors = [
        numpy_helper.from_array(weight, "w")
        if raw
        else helper.make_tensor("w", FLOAT, weight.shape, weight.ravel())
    ]
    if label is not None:
        tensors.append(numpy_helper.from_array(np.frombuffer(label, np.int8), "label"))
    places = [helper.make_tensor_value_info("canvas", TensorProto.INT32, ["places", 2])]
    tensors.append(numpy_helper.from_array(np.array([-1, 1, 1, 1]), "each"))
    lay = [
        helper.make_node("Cast", ["canvas"], ["place"], to=FLOAT),
        helper.make_node("ReduceSum", ["place", "along"], ["sum"]),
        helper.make_node("Reshape", ["sum", "each"], ["light"]),
        helper.make_node("Add", ["scaled", "light"], ["laid"]),
    ]
    tensors.append(numpy_helper.from_array(np.array([1]), "along"))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["frames"], ["real"], to=FLOAT),
            helper.make_node(before, ["real"], ["same"]),
            helper.make_node("Mul", ["same", "w"], ["scaled"]),
            *(lay if canvas else []),
            *(
                helper.make_node("Cast", ["laid" if canvas else "scaled"], [name], to=element)
                for name in names
            ),
        ],
        "tiny",
        [helper.make_tensor_value_info("frames", element, shape), *(places if canvas else [])],
        [helper.make_tensor_value_info(name, element, shape) for name in names],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if trunk is not None:
        helper.set_model_props(model, {"trunk": trunk})
    return model.SerializeToString()


def with_trunk(data: bytes, trunk: str) -> bytes:
    """Return a network that says it grew from ``trunk``."""
    model = onnx.load_from_string(data)
    helper.set_model_props(model, {"trunk": trunk})
    return model.SerializeToString()


def weights(data: bytes) -> dict[str, np.ndarray]:
    """Return a network's weights, as the ONNX project's own code reads them."""
    model = onnx.load_from_string(data)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def hang(folder: Path, name: str, data: bytes, **card: object) -> None:
    """Put a style into a folder: the network and its card."""
    facts = {"title": "T", "painter": "P", "licence": "CC0", "sha256": sha256(data), **card}
    (folder / f"{name}.onnx").write_bytes(data)
    (folder / f"{name}.json").write_text(json.dumps(facts))


def sha256(data: bytes) -> str:
    """Return what a card says of a file."""
    return hashlib.sha256(data).hexdigest()
