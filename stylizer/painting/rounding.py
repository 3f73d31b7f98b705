"""Rewrites how a style network rounds to bytes, as one step that OpenVINO fuses with a convolution.

The training's networks add one half, clip to 0 to 255 and truncate: two more steps, each of which
reads and writes a whole picture of floats.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

_CUT_TO_ROUND: Final = 0.5 - 2**-10
"""The offset between rounding and truncating, less a margin that keeps whole numbers unchanged."""

_BLACK, _WHITE = 0, 255


def round_at_once(network: bytes) -> bytes:
    """Return an equivalent network; one that makes its bytes in another way stays unchanged."""
    model = onnx.load_from_string(network)
    graph = model.graph
    steps = _find_steps(graph)
    if steps is None:
        return network
    convolution, clip, cast = steps
    bias = next(tensor for tensor in graph.initializer if tensor.name == convolution.input[2])
    rounded = numpy_helper.to_array(bias) - np.float32(_CUT_TO_ROUND)
    graph.initializer.extend(
        [
            numpy_helper.from_array(rounded, "rounded.bias"),
            numpy_helper.from_array(np.float32(1), "rounded.level"),
            numpy_helper.from_array(np.uint8(0), "rounded.black"),
        ]
    )
    convolution.input[2] = "rounded.bias"
    given = [convolution.output[0], "rounded.level", "rounded.black"]
    at = list(graph.node).index(cast)
    graph.node.insert(at, helper.make_node("QuantizeLinear", given, [cast.output[0]]))
    graph.node.remove(clip)
    graph.node.remove(cast)
    rewritten: bytes = model.SerializeToString()
    return rewritten


def _find_steps(
    graph: onnx.GraphProto,
) -> tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto] | None:
    """Return the convolution, clip and cast that make bytes, each read only by the next."""
    makers = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    read = [name for node in graph.node for name in node.input]
    read += [result.name for result in graph.output]
    for cast in graph.node:
        if cast.op_type != "Cast" or cast.attribute[0].i != onnx.TensorProto.UINT8:
            continue
        clip = makers.get(cast.input[0])
        if clip is None or clip.op_type != "Clip" or read.count(clip.output[0]) > 1:
            continue
        bounds = [_scalar(constants.get(name)) for name in clip.input[1:]]
        convolution = makers.get(clip.input[0])
        if bounds != [_BLACK, _WHITE] or convolution is None:
            continue
        if convolution.op_type != "Conv" or read.count(convolution.output[0]) > 1:
            continue
        bias = constants.get(next(iter(convolution.input[2:]), ""))
        if bias is not None and bias.data_type == onnx.TensorProto.FLOAT:
            return convolution, clip, cast
    return None


def _scalar(tensor: onnx.TensorProto | None) -> float | None:
    return None if tensor is None else float(numpy_helper.to_array(tensor))
