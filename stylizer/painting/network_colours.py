"""Puts the conversion of colours into a network, so that it takes and gives a video's own planes.

The arithmetic is that of `shared.media.pixels`: BT.709 limited range, chroma sited left, bilinear.
It works in the type of the network's weights: a level differs here and there. Sides are never
computed, only kept or inferred, because ONNX Runtime computes shapes on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

_RED: Final = 0.2126
_BLUE: Final = 0.0722
_GREEN: Final = 1 - _RED - _BLUE
_LUMA: Final = 219 / 255
_CHROMA: Final = 224 / 255
"""How much of the 255 levels of full range limited range has."""

_HALF: Final = 128
_BLACK: Final = 16


def as_i420(model: onnx.ModelProto) -> None:
    """Make a network of uint8 RGB (N, 3, H, W) one of uint8 I420 (N, 3 / 2 H, W)."""
    steps = _Steps(_kind(model.graph))
    graph = model.graph
    frames, painted = graph.input[0], graph.output[0]
    taken = _to_rgb(steps, "i420")
    first = len(steps.nodes)
    given = _to_i420(steps, painted.name)
    before, after = steps.nodes[:first], steps.nodes[first:]
    before.append(helper.make_node("Identity", [taken], [frames.name]))
    after.append(helper.make_node("Identity", [given], ["i420.painted"]))
    network = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before, *network, *after])
    graph.initializer.extend(steps.constants)
    rest = list(graph.input)[1:]
    del graph.input[:]
    graph.input.extend([_planes("i420"), *rest])
    del graph.output[:]
    graph.output.append(_planes("i420.painted"))


def _planes(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", "rows", "columns"])


def _kind(graph: onnx.GraphProto) -> np.dtype[np.generic]:
    kinds = {tensor.data_type for tensor in graph.initializer}
    return np.dtype(np.float16 if TensorProto.FLOAT16 in kinds else np.float32)


class _Steps:
    """Collects operators and constants, and names what they give."""

    def __init__(self, kind: np.dtype[np.generic]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.kind = kind
        self.element = helper.np_dtype_to_tensor_dtype(kind)

    def do(self, operator: str, *given: str, **attributes: object) -> str:
        result = f"colours.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(given), [result], **attributes))
        return result

    def split(self, given: str, parts: int) -> list[str]:
        results = [f"colours.part.{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [given], results, axis=1))
        return results

    def number(self, value: npt.ArrayLike, kind: npt.DTypeLike | None = None) -> str:
        name = f"colours.constant.{len(self.constants)}"
        array = np.array(value, self.kind if kind is None else kind)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def shape(self, *sides: int) -> str:
        return self.number(sides, np.int64)

    def sum(self, parts: Sequence[tuple[str, float]], constant: float) -> str:
        """Return the sum of planes, each times its factor, and a constant."""
        total = self.number(constant)
        for plane, factor in parts:
            total = self.do("Add", self.do("Mul", plane, self.number(factor)), total)
        return total


def _to_rgb(steps: _Steps, i420: str) -> str:
    """Return uint8 (N, 3, H, W) of uint8 (N, 3 / 2 H, W)."""
    # Strips of a quarter of the height: four of Y, one of U, one of V, which have two rows in one.
    strips = steps.split(i420, 6)
    light = steps.do("Concat", *strips[:4], axis=1)
    y = steps.do("Cast", steps.do("Unsqueeze", light, steps.shape(1)), to=steps.element)
    colours = [
        steps.do(
            "Reshape",
            steps.do("Reshape", strip, steps.shape(0, 0, 2, -1)),
            steps.shape(0, 1, -1, 0),
        )
        for strip in strips[4:]
    ]
    uv = steps.do("Cast", steps.do("Concat", *colours, axis=1), to=steps.element)
    # Between the rows of Y, and on the even columns of Y.
    uv = steps.do(
        "Resize",
        uv,
        "",
        steps.number((1, 1, 2, 1), np.float32),
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    uv = steps.do(
        "Resize",
        uv,
        "",
        steps.number((1, 1, 1, 2), np.float32),
        mode="linear",
        coordinate_transformation_mode="asymmetric",
    )
    u = steps.do("Slice", uv, steps.shape(0), steps.shape(1), steps.shape(1))
    v = steps.do("Slice", uv, steps.shape(1), steps.shape(2), steps.shape(1))
    to_red, to_blue = 2 * (1 - _RED) / _CHROMA, 2 * (1 - _BLUE) / _CHROMA
    bright = steps.sum([(y, 1 / _LUMA)], -_BLACK / _LUMA)
    red = steps.sum([(v, to_red), (bright, 1)], -_HALF * to_red)
    blue = steps.sum([(u, to_blue), (bright, 1)], -_HALF * to_blue)
    of_red, of_blue = -to_red * _RED / _GREEN, -to_blue * _BLUE / _GREEN
    green = steps.sum([(v, of_red), (u, of_blue), (bright, 1)], -_HALF * (of_red + of_blue))
    return _as_bytes(steps, steps.do("Concat", red, green, blue, axis=1))


def _to_i420(steps: _Steps, rgb: str) -> str:
    """Return uint8 (N, 3 / 2 H, W) of uint8 (N, 3, H, W)."""
    pixels = steps.do("Cast", rgb, to=steps.element)
    red, green, blue = (
        steps.do("Slice", pixels, steps.shape(k), steps.shape(k + 1), steps.shape(1))
        for k in range(3)
    )
    y = steps.sum([(red, _RED * _LUMA), (green, _GREEN * _LUMA), (blue, _BLUE * _LUMA)], _BLACK)
    # Four rows, whose middle lies between two of Y, and three columns about an even one.
    edge = steps.do("Pad", pixels, steps.shape(0, 0, 1, 1, 0, 0, 1, 0), mode="edge")
    kernel = np.outer((1 / 8, 3 / 8, 3 / 8, 1 / 8), (1 / 4, 1 / 2, 1 / 4))
    small = steps.do(
        "Conv",
        edge,
        steps.number(np.broadcast_to(kernel, (3, 1, 4, 3))),
        group=3,
        kernel_shape=[4, 3],
        strides=[2, 2],
    )
    red, green, blue = (
        steps.do("Slice", small, steps.shape(k), steps.shape(k + 1), steps.shape(1))
        for k in range(3)
    )
    to_blue, to_red = _CHROMA / 2 / (1 - _BLUE), _CHROMA / 2 / (1 - _RED)
    u = steps.sum([(blue, _CHROMA / 2), (red, -_RED * to_blue), (green, -_GREEN * to_blue)], _HALF)
    v = steps.sum([(red, _CHROMA / 2), (green, -_GREEN * to_red), (blue, -_BLUE * to_red)], _HALF)
    light = steps.do("Squeeze", _as_bytes(steps, y), steps.shape(1))
    strips = [
        steps.do(
            "Reshape", steps.do("Reshape", plane, steps.shape(0, -1, 2, 0)), steps.shape(0, 0, -1)
        )
        for plane in (_as_bytes(steps, u), _as_bytes(steps, v))
    ]
    return steps.do("Concat", light, *strips, axis=1)


def _as_bytes(steps: _Steps, plane: str) -> str:
    """Round to the nearest level, within the 256 that there are."""
    near = steps.do("Add", plane, steps.number(0.5))
    within = steps.do("Clip", near, steps.number(0), steps.number(255.5))
    return steps.do("Cast", within, to=TensorProto.UINT8)
