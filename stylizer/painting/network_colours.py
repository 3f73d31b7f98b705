"""Builds colour conversion into a network, so that it takes and returns a video's own planes.

The arithmetic is that of `shared.media.pixels`: BT.709 limited range, chroma sited left, bilinear.
It is done in the data type of the network's weights, so that some values differ by a level. Shapes
are never computed, only kept or inferred, because ONNX Runtime computes them on the processor. All
operators are elementwise or only move data: convolutions and resizes of full pictures with one to
three channels, which ONNX Runtime first transposes to channels last, cost an H200 half as much as
the network itself.
"""

from __future__ import annotations

import functools
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
"""The share of full range's 255 levels that limited range uses."""

_HALF: Final = 128
_BLACK: Final = 16

_ROUND: Final = 0.5
"""Added before a cast, to make it round to the nearest level."""

_ROWS: Final = 2
_COLUMNS: Final = 3
_END: Final = 2**31 - 1


def as_i420(model: onnx.ModelProto) -> None:
    """Change a network, in place, from uint8 RGB (N, 3, H, W) to uint8 I420 (N, 3 / 2 H, W)."""
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
    """Collects operators and constants; methods return the names of their results."""

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

    def sum(self, parts: Sequence[tuple[str, float]], constant: float = 0) -> str:
        """Return the sum of planes, each multiplied by its factor, and a constant."""
        terms = [self.do("Mul", plane, self.number(factor)) for plane, factor in parts]
        if constant:
            terms.append(self.number(constant))
        return functools.reduce(lambda one, other: self.do("Add", one, other), terms)

    def cut(self, plane: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """Return a slice along an axis."""
        sides = [self.shape(number) for number in (start, end, axis, step)]
        return self.do("Slice", plane, *sides)

    def channels(self, pixels: str) -> list[str]:
        """Return red, green and blue, (N, 1, H, W) each."""
        return [self.cut(pixels, 1, channel, channel + 1) for channel in range(3)]

    def shifted(self, plane: str, axis: int, by: int, edge: str = "") -> str:
        """Return each value's neighbour along an axis, the previous one if ``by`` is negative.

        The outermost neighbour comes from ``edge``.
        """
        if by < 0:
            parts = [self.cut(edge or plane, axis, 0, 1), self.cut(plane, axis, 0, -1)]
        else:
            parts = [self.cut(plane, axis, 1, _END), self.cut(edge or plane, axis, -1, _END)]
        return self.do("Concat", *parts, axis=axis)

    def merge(self, rows: str) -> str:
        """Reshape (N, A, B, W) to (N, 1, A * B, W)."""
        return self.do("Reshape", rows, self.shape(0, 1, -1, 0))


def _to_rgb(steps: _Steps, i420: str) -> str:
    """Convert uint8 (N, 3 / 2 H, W) to uint8 (N, 3, H, W)."""
    # Strips of a quarter of the height: four of Y, one of U, one of V, which hold two rows in one.
    strips = steps.split(i420, 6)
    light = steps.do("Concat", *strips[:4], axis=1)
    y = steps.do("Cast", steps.do("Unsqueeze", light, steps.shape(1)), to=steps.element)
    u, v = (
        steps.do(
            "Cast",
            steps.merge(steps.do("Reshape", strip, steps.shape(0, 0, 2, -1))),
            to=steps.element,
        )
        for strip in strips[4:]
    )
    # What chroma adds to red, green and blue is computed before upsampling, on a quarter of values.
    to_red, to_blue = 2 * (1 - _RED) / _CHROMA, 2 * (1 - _BLUE) / _CHROMA
    of_red, of_blue = -to_red * _RED / _GREEN, -to_blue * _BLUE / _GREEN
    added = (
        steps.sum([(v, to_red)], -_HALF * to_red),
        steps.sum([(v, of_red), (u, of_blue)], -_HALF * (of_red + of_blue)),
        steps.sum([(u, to_blue)], -_HALF * to_blue),
    )
    bright = steps.sum([(y, 1 / _LUMA)], _ROUND - _BLACK / _LUMA)
    planes = [steps.do("Add", bright, _enlarged(steps, plane)) for plane in added]
    return _as_bytes(steps, steps.do("Concat", *planes, axis=1))


def _enlarged(steps: _Steps, plane: str) -> str:
    """Upsample (N, 1, H / 2, W / 2), sited between luma rows and on luma columns, by two."""
    above, below = steps.shifted(plane, _ROWS, -1), steps.shifted(plane, _ROWS, 1)
    upper = steps.sum([(plane, 3 / 4), (above, 1 / 4)])
    lower = steps.sum([(plane, 3 / 4), (below, 1 / 4)])
    rows = [steps.do("Reshape", half, steps.shape(0, -1, 1, 0)) for half in (upper, lower)]
    tall = steps.merge(steps.do("Concat", *rows, axis=2))
    between = steps.sum([(tall, 1 / 2), (steps.shifted(tall, _COLUMNS, 1), 1 / 2)])
    pairs = [steps.do("Unsqueeze", half, steps.shape(4)) for half in (tall, between)]
    return steps.do("Reshape", steps.do("Concat", *pairs, axis=4), steps.shape(0, 0, 0, -1))


def _to_i420(steps: _Steps, rgb: str) -> str:
    """Convert uint8 (N, 3, H, W) to uint8 (N, 3 / 2 H, W)."""
    pixels = steps.do("Cast", rgb, to=steps.element)
    red, green, blue = steps.channels(pixels)
    y = steps.sum(
        [(red, _RED * _LUMA), (green, _GREEN * _LUMA), (blue, _BLUE * _LUMA)], _ROUND + _BLACK
    )
    red, green, blue = steps.channels(_reduced(steps, pixels))
    to_blue, to_red = _CHROMA / 2 / (1 - _BLUE), _CHROMA / 2 / (1 - _RED)
    u = steps.sum(
        [(blue, _CHROMA / 2), (red, -_RED * to_blue), (green, -_GREEN * to_blue)], _ROUND + _HALF
    )
    v = steps.sum(
        [(red, _CHROMA / 2), (green, -_GREEN * to_red), (blue, -_BLUE * to_red)], _ROUND + _HALF
    )
    light = steps.do("Squeeze", _as_bytes(steps, y), steps.shape(1))
    strips = [
        steps.do(
            "Reshape",
            steps.do("Reshape", _as_bytes(steps, plane), steps.shape(0, -1, 2, 0)),
            steps.shape(0, 0, -1),
        )
        for plane in (u, v)
    ]
    return steps.do("Concat", light, *strips, axis=1)


def _reduced(steps: _Steps, pixels: str) -> str:
    """Downsample (N, 3, H, W) by two: rows are weighted 1, 3, 3, 1 and columns 1, 2, 1."""
    pairs = steps.do("Reshape", pixels, steps.shape(0, -1, 2, 0))
    upper, lower = (
        steps.do("Reshape", steps.cut(pairs, 2, k, k + 1), steps.shape(0, 3, -1, 0)) for k in (0, 1)
    )
    above, below = steps.shifted(lower, _ROWS, -1, upper), steps.shifted(upper, _ROWS, 1, lower)
    outer, inner = steps.do("Add", above, below), steps.do("Add", upper, lower)
    rows = steps.sum([(outer, 1 / 8), (inner, 3 / 8)])
    even, odd = (steps.cut(rows, _COLUMNS, k, _END, 2) for k in (0, 1))
    sides = steps.do("Add", steps.shifted(odd, _COLUMNS, -1, even), odd)
    return steps.sum([(even, 1 / 2), (sides, 1 / 4)])


def _as_bytes(steps: _Steps, plane: str) -> str:
    """Clip to the 256 levels and cast, which truncates: ``plane`` already includes `_ROUND`."""
    within = steps.do("Clip", plane, steps.number(0), steps.number(255.5))
    return steps.do("Cast", within, to=TensorProto.UINT8)
