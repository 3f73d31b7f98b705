"""Takes the drawing of the canvas out of a style network.

What is drawn depends on a frame's size and place alone, so while the camera stands still it is the
same for every frame. And it is far from fp32 in bfloat16, more so than all that is painted on it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.utils import Extractor

CANVAS: Final = "canvas"
"""The input that says where frames lie; see `Sessions`."""


class SplitNetwork(NamedTuple):
    """A style network in two parts, which one after the other paint what it paints.

    ``drawing`` takes the network's own inputs, and of frames uses the size alone. ``painting``
    takes frames, and what is drawn in place of the canvas: float32 (1 or N, C, H', W').
    """

    drawing: bytes
    painting: bytes


def split(network: bytes) -> SplitNetwork | None:
    """Return the parts of a style network, or None where what it does is not in two such parts."""
    model = onnx.load_from_string(network)
    inputs = [given.name for given in model.graph.input]
    if len(inputs) != len(("frames", CANVAS)) or inputs[1] != CANVAS:
        return None
    drawn = _find_drawn(model.graph, inputs[0])
    if drawn is None:
        return None
    model.graph.value_info.append(
        helper.make_tensor_value_info(drawn, onnx.TensorProto.FLOAT, [None] * 4)
    )
    parts = Extractor(model)
    painted = model.graph.output[0].name
    return SplitNetwork(
        parts.extract_model(inputs, [drawn]).SerializeToString(),
        parts.extract_model([inputs[0], drawn], [painted]).SerializeToString(),
    )


def _find_drawn(graph: onnx.GraphProto, frames: str) -> str | None:
    """Return the name of what a convolution reads, and is all that painting has of the canvas."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    painted, drawn, taken = {frames}, {CANVAS}, set[str]()
    convolutions = []
    for node in graph.node:
        given = set(node.input)
        if any(_is_nothing(constants.get(name)) for name in given) and node.op_type == "Mul":
            continue  # nothing is left of the other factor but its size
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


def _is_nothing(tensor: onnx.TensorProto | None) -> bool:
    """Tell whether a constant is a whole number and 0, which nothing times is anything else."""
    if tensor is None:
        return False
    array = numpy_helper.to_array(tensor)
    return np.issubdtype(array.dtype, np.integer) and not array.any()
