"""Separates the drawing of the canvas from the rest of a style network.

The drawing depends only on a frame's size and place, so it is the same for every frame while the
camera stands still. In bfloat16 it deviates from fp32 more than everything that is painted on it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.utils import Extractor

CANVAS: Final = "canvas"
"""The input that gives the places of frames; see `Sessions`."""

_DRAWING: Final = ("places", "planes", "rows", "columns")
"""The names of a drawing's dimensions."""


class SplitNetwork(NamedTuple):
    """A style network in two parts that, run one after the other, paint the same picture.

    ``drawing`` takes the network's own inputs, but uses only the size of the frames. ``painting``
    takes frames and, instead of the canvas, the drawing: float32 (1 or N, C, H', W'), whose free
    dimensions have names.
    """

    drawing: bytes
    painting: bytes


def split(network: bytes) -> SplitNetwork | None:
    """Return the two parts of a style network, or None if it cannot be split like this."""
    model = onnx.load_from_string(network)
    inputs = [given.name for given in model.graph.input]
    if len(inputs) != len(("frames", CANVAS)) or inputs[1] != CANVAS:
        return None
    drawn = _find_drawn(model.graph, inputs[0])
    if drawn is None:
        return None
    model.graph.value_info.append(
        helper.make_tensor_value_info(drawn, onnx.TensorProto.FLOAT, _DRAWING)
    )
    parts = Extractor(model)
    painted = model.graph.output[0].name
    drawing = parts.extract_model(inputs, [drawn])
    _pad_bytes(drawing.graph, inputs[0])
    return SplitNetwork(
        drawing.SerializeToString(),
        parts.extract_model([inputs[0], drawn], [painted]).SerializeToString(),
    )


def _find_drawn(graph: onnx.GraphProto, frames: str) -> str | None:
    """Return the one tensor, read by a convolution, through which painting depends on the canvas.

    None if there is not exactly one, or if the convolution's weights are not float32.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    painted, drawn, taken = {frames}, {CANVAS}, set[str]()
    convolutions = []
    for node in graph.node:
        given = set(node.input)
        if any(_is_integer_zero(constants.get(name)) for name in given) and node.op_type == "Mul":
            continue  # only the size of the other factor is left
        if node.op_type == "Conv" and drawn & given:
            convolutions.append(node)
        if painted & given or node.op_type == "Conv":
            taken |= drawn & given
            painted.update(node.output)
        elif drawn & given:
            drawn.update(node.output)
    if len(taken) != 1 or len(convolutions) != 1 or convolutions[0].input[0] not in taken:
        return None
    weight = constants.get(convolutions[0].input[1])
    if weight is None or weight.data_type != onnx.TensorProto.FLOAT:
        return None
    return taken.pop()


def _pad_bytes(graph: onnx.GraphProto, frames: str) -> None:
    """Pad frames as they are, not cast to floats: a drawing uses no more than their padded size."""
    for cast in [node for node in graph.node if node.op_type == "Cast" and frames in node.input]:
        readers = [node for node in graph.node if cast.output[0] in node.input]
        if all(map(_pads_with_zero, readers)):
            for node in readers:
                node.input[0] = frames
            graph.node.remove(cast)


def _pads_with_zero(node: onnx.NodeProto) -> bool:
    """Return whether a node pads without another value: then it has only its data and its sizes."""
    return node.op_type == "Pad" and not node.input[2:]


def _is_integer_zero(tensor: onnx.TensorProto | None) -> bool:
    """Return whether a constant is an integer zero, whose product with anything is zero."""
    if tensor is None:
        return False
    array = numpy_helper.to_array(tensor)
    return np.issubdtype(array.dtype, np.integer) and not array.any()
