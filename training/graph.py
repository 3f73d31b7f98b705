"""The network as an ONNX graph, from uint8 frames to uint8 frames.

The graph is built node by node, so that it does not depend on the version of torch, and so that
every weight has a name by which it can be read or averaged. The scale of 255 is folded into the
first and the last convolution. The edge is repeated a few pixels outwards before the network
paints, and cropped afterwards.

The frames' place on the canvas is a second input, `CANVAS`: quarters of pixels, down and across, as
int32, one row for all frames or one for each.

Every node runs on ONNX Runtime's CPU and CUDA providers: one file serves both.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.canvas import CELL, PERIOD, SOFT, TURN, UNIT, Waves, flows, waves
from training.network import AFTER, BEFORE, CALM, VERSION, StyleNetwork, convolutions

OPSET: Final = 17
CANVAS: Final = "canvas"

_IR_VERSION: Final = 8
_WHITE: Final = 255
_ALL: Final = 2**31 - 1
_FIRST: Final = "first"
_LAST: Final = "paint"
_LAY: Final = "lay"
_WITHOUT_CANVAS: Final = "3"
_READABLE: Final = (_WITHOUT_CANVAS, "4", str(VERSION))
_ROUNDING: Final = 0.5
_BILINEAR: Final = (1, 2, 1)
_COLUMNS_FIRST: Final = [
    4 * colour + 2 * row + column for colour in range(3) for column in range(2) for row in range(2)
]
"""The order of the last convolution's channels that `_interleave` needs."""

Precision = Literal["fp32", "fp16"]


def build(
    network: StyleNetwork,
    *,
    precision: Precision = "fp32",
    metadata: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """Return the network as ONNX: frames (N, 3, H, W) of uint8, H and W multiples of 4."""
    graph = _Graph(precision)
    for name, convolution in convolutions(network):
        graph.convolution(name, convolution)
    graph.draw()
    model = helper.make_model(
        graph.finished(),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="stylestream",
    )
    helper.set_model_props(model, {"network": str(VERSION), **(metadata or {})})
    onnx.checker.check_model(model, full_check=True)
    return model


def read_weights(model: onnx.ModelProto) -> StyleNetwork:
    """Return the network that `build` wrote, as wide as it is in the file.

    One of version 3 gets a faint, random canvas.

    Raises:
        ValueError: the file has another network, or one of another version.
    """
    said = {entry.key: entry.value for entry in model.metadata_props}
    if (version := said.get("network")) not in _READABLE:
        raise ValueError(f"it says {version or 'nothing'} of its version instead of {VERSION}")
    tensors = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    with torch.random.fork_rng():
        # Random weights that the file lacks are the same every time.
        torch.manual_seed(0)
        network = StyleNetwork(within=len(tensors["blocks.0.mix_1.weight"]))
    for name, layer in convolutions(network):
        assert layer.bias is not None
        if name == _LAY and version == _WITHOUT_CANVAS:
            continue
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if name == _FIRST:
            weight = weight * _WHITE
        if name == _LAST:
            back = np.argsort(_COLUMNS_FIRST)
            weight, bias = weight[back] / _WHITE, (bias[back] - _ROUNDING) / _WHITE
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return network


class _Graph:
    """The nodes and weights of the graph while it is built."""

    def __init__(self, precision: Precision) -> None:
        self._float = TensorProto.FLOAT if precision == "fp32" else TensorProto.FLOAT16
        self._dtype = np.float32 if precision == "fp32" else np.float16
        self._weights: list[TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._layers: dict[str, nn.Conv2d] = {}
        self._scope = ""

    def convolution(self, name: str, layer: nn.Conv2d) -> None:
        """Add a layer's weights; the first and last are scaled by 255."""
        assert layer.bias is not None
        weight, bias = (p.detach().cpu().double().numpy() for p in (layer.weight, layer.bias))
        if name == _FIRST:
            weight = weight / _WHITE
        if name == _LAST:
            # The half makes the cast to bytes round instead of truncate.
            weight, bias = weight * _WHITE, bias * _WHITE + _ROUNDING
            weight, bias = weight[_COLUMNS_FIRST], bias[_COLUMNS_FIRST]
        self._constant(f"{name}.weight", weight.astype(self._dtype))
        self._constant(f"{name}.bias", bias.astype(self._dtype))
        self._layers[name] = layer

    def draw(self) -> None:
        """Connect the layers like `StyleNetwork.forward`."""
        wide = self._widen()
        canvas = self._canvas(wide)
        half = self._relu(self._convolve(wide, "first"))
        quarter = self._convolve(self._blur(half, "calm", CALM), "second")
        quarter = self._relu(self._node("Add", quarter, self._convolve(canvas, "lay")))
        for index in range(sum(name.endswith("spread_1") for name in self._layers)):
            block = f"blocks.{index}"
            y = self._convolve(self._convolve(quarter, f"{block}.spread_1"), f"{block}.mix_1")
            y = self._convolve(self._relu(y), f"{block}.spread_2")
            quarter = self._node("Add", quarter, self._convolve(y, f"{block}.mix_2"))
        wide = self._enlarge(self._convolve(quarter, "narrow"))
        y = self._relu(self._node("Add", wide, half))
        y = self._relu(self._convolve(y, "finish"))
        self._interleave(self._bytes(self._convolve(y, "paint")))

    def finished(self) -> onnx.GraphProto:
        def frames(name: str) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", 3, "H", "W"])

        canvas = helper.make_tensor_value_info(CANVAS, TensorProto.INT32, ["places", 2])
        return helper.make_graph(
            self._nodes, "style", [frames("frames"), canvas], [frames("stylized")], self._weights
        )

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self._weights.append(numpy_helper.from_array(value, name))
        return name

    def _once(self, name: str, value: npt.NDArray[Any]) -> str:
        """Add a constant that several nodes share."""
        if all(tensor.name != name for tensor in self._weights):
            self._constant(name, value)
        return name

    def _node(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        output = to or f"{self._scope}{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def _cast(self, x: str, kind: int) -> str:
        output = f"{self._scope}cast_{len(self._nodes)}"
        self._nodes.append(helper.make_node("Cast", [x], [output], name=output, to=kind))
        return output

    def _relu(self, x: str) -> str:
        return self._node("Relu", x)

    def _convolve(self, x: str, name: str) -> str:
        layer = self._layers[name]
        assert isinstance(layer.padding, tuple)
        return self._node(
            "Conv",
            x,
            f"{name}.weight",
            f"{name}.bias",
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=list(layer.padding) * 2,
            group=layer.groups,
        )

    def _widen(self) -> str:
        """Repeat the edge outwards, in floats, because ONNX Runtime's CUDA cannot pad bytes."""
        around = self._shape("around", 0, 0, BEFORE, BEFORE, 0, 0, AFTER, AFTER)
        return self._node("Pad", self._cast("frames", self._float), around, mode="edge")

    def _canvas(self, wide: str) -> str:
        """Compute the canvas like `training.canvas.Canvas`, always in fp32.

        Coordinates are counted along a row and a column of the picture: if they were computed from
        its shape, that would happen on the CPU.
        """
        self._scope = "canvas_"
        period = self._constant("period", np.array(PERIOD, np.int32))
        corner = self._node("Reshape", CANVAS, self._shape("corner", -1, 2, 1, 1))
        corner = self._node("Mod", corner, period)
        rows, columns = (self._coordinates(wide, corner, axis) for axis in (2, 3))
        real, imaginary = self._sum("waves", waves(), rows, columns)
        (sway,) = self._sum("flows", flows(), rows, columns, parts=1)
        cosine, sine = self._node("Cos", sway), self._node("Sin", sway)
        squares = [self._node("Mul", part, part) for part in (real, imaginary)]
        soft = self._constant("soft", np.array(SOFT, np.float32))
        power = self._node("Add", self._node("Add", *squares), soft)
        envelope = self._node("Sqrt", power)
        ahead = [self._node("Mul", part, cosine) for part in (real, imaginary)]
        aside = [self._node("Mul", part, sine) for part in (imaginary, real)]
        turned = (self._node("Sub", ahead[0], aside[0]), self._node("Add", ahead[1], aside[1]))
        planes = [self._node("Div", part, envelope) for part in turned]
        canvas = self._node("Concat", *planes, axis=1)
        self._scope = ""
        return canvas if self._dtype == np.float32 else self._cast(canvas, self._float)

    def _sum(self, name: str, drawn: Waves, rows: str, columns: str, parts: int = 2) -> list[str]:
        """Sum waves at every crossing of rows and columns, and a quarter of a wave later."""
        down, across, phase, height = (
            self._constant(f"{name}.{part}", np.expand_dims(value.numpy(), (0, axis)))
            for part, value, axis in (
                ("down", drawn.down, 2),
                ("across", drawn.across, 3),
                ("phase", drawn.phase, 2),
                ("height", drawn.height, 3),
            )
        )
        angles = self._angles(self._node("Add", self._node("Mul", rows, down), phase))
        turned = self._node("Concat", self._node("Cos", angles), self._node("Sin", angles), axis=3)
        angles = self._angles(self._node("Mul", columns, across))
        cosine, sine = (
            self._node("Mul", height, self._node(kind, angles)) for kind in ("Cos", "Sin")
        )
        both = ((cosine, self._node("Neg", sine)), (sine, cosine))[:parts]
        return [self._node("MatMul", turned, self._node("Concat", *pair, axis=2)) for pair in both]

    def _angles(self, steps: str) -> str:
        """Convert integer steps of phase into radians, from minus half a turn."""
        left = self._node("Sub", self._node("Mod", steps, "period"), self._half())
        turn = self._once("turn", np.array(TURN, np.float32))
        return self._node("Mul", self._cast(left, TensorProto.FLOAT), turn)

    def _half(self) -> str:
        return self._once("half", np.array(PERIOD // 2, np.int32))

    def _coordinates(self, wide: str, corner: str, axis: int) -> str:
        """Return each cell's place on the canvas along ``axis``, in steps."""
        side = "yx"[axis - 2]
        ends = [1, 1, 1, 1]
        ends[axis] = _ALL
        line = self._node(
            "Slice",
            wide,
            self._shape(f"{side}.first", 0, 0, 0, 0),
            self._shape(f"{side}.end", *ends),
            self._shape(f"{side}.axes", 0, 1, 2, 3),
            self._shape(f"{side}.cell", 1, 1, *(CELL if a == axis else 1 for a in (2, 3))),
        )
        nothing = self._once("nothing", np.array(0, np.int32))
        step = self._once("step", np.array(UNIT * CELL, np.int32))
        steps = self._node("Mul", self._cast(line, TensorProto.INT32), nothing)
        steps = self._node("Add", steps, step)
        counted = self._node("CumSum", steps, self._constant(f"{side}.axis", np.array(axis)))
        # Counted from the start of the repeated edge.
        start = self._once("origin", np.array(-UNIT * (CELL + BEFORE), np.int32))
        part = self._node(
            "Slice",
            corner,
            self._shape(f"{side}.from", axis - 2),
            self._shape(f"{side}.to", axis - 1),
            self._shape(f"{side}.of", 1),
        )
        return self._node("Add", self._node("Add", counted, start), part)

    def _enlarge(self, x: str) -> str:
        """Enlarge twofold, bilinearly.

        Repeating pixels with a binomial blur gives exactly that, and is faster than "linear".
        """
        twice = self._constant("twice", np.array([1, 1, 2, 2], np.float32))
        repeated = self._node(
            "Resize",
            x,
            "",
            twice,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return self._blur(repeated, "blur", _BILINEAR)

    def _blur(self, x: str, name: str, taps: tuple[int, ...]) -> str:
        """Blur the half-size channels, which would cost more within the next convolution."""
        channels, size = self._layers["first"].out_channels, len(taps)
        one = np.array(taps) / sum(taps)
        weights = np.tile(np.outer(one, one), (channels, 1, 1, 1)).astype(self._dtype)
        return self._node(
            "Conv",
            x,
            self._constant(name, weights),
            kernel_shape=[size, size],
            pads=[size // 2] * 4,
            group=channels,
        )

    def _bytes(self, x: str) -> str:
        """Clip to bytes, and crop what `_widen` added."""
        black = self._constant("black", np.array(0, self._dtype))
        white = self._constant("white", np.array(_WHITE, self._dtype))
        painted = self._cast(self._node("Clip", x, black, white), TensorProto.UINT8)
        start, end, axes = (
            self._shape("start", BEFORE // 2, BEFORE // 2),
            self._shape("end", -AFTER // 2, -AFTER // 2),
            self._shape("axes", 2, 3),
        )
        return self._node("Slice", painted, start, end, axes)

    def _interleave(self, x: str) -> None:
        """Turn 12 half-size channels into 3 of full size: depth-to-space of 2.

        Two transpositions of bytes take a fifth of the time of DepthToSpace, which CUDA does not
        have for bytes. Every shape consists of copied and inferred lengths, because others would be
        computed on the CPU.
        """
        rows = self._node("Reshape", x, self._shape("rows", -1, 2, 0, 0))  # (6 N, 2, h, w)
        rows = self._node("Transpose", rows, perm=[0, 2, 1, 3])
        tall = self._node("Reshape", rows, self._shape("tall", 0, 1, -1, 0))  # (6 N, 1, H, w)
        columns = self._node("Reshape", tall, self._shape("columns", -1, 2, 0, 0))
        columns = self._node("Transpose", columns, perm=[0, 2, 3, 1])  # (3 N, H, w, 2)
        whole = self._node("Reshape", columns, self._shape("whole", 0, 0, -1))
        plane = self._node("Unsqueeze", whole, self._shape("plane", 1))
        self._node("Reshape", plane, self._shape("frame", -1, 3, 0, 0), to="stylized")

    def _shape(self, name: str, *lengths: int) -> str:
        return self._constant(name, np.array(lengths, np.int64))
