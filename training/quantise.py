"""The network in int8: faster on a CPU that multiplies bytes (AVX-512 VNNI), slower on others.

Weights and activations become bytes, the weights channel by channel; the ranges of the activations
are the extremes that the network reaches on given pictures, the mean of them: the extreme of all
would spend most of the 256 steps on what hardly ever comes. The outermost two convolutions stay in
fp32, as what lies before and behind them does, and so does the canvas. The bytes have no sign: with
signed weights ONNX Runtime's sums overflow on processors that have AVX2 alone, and the picture is
spoilt.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from training.data import read_picture
from training.graph import CANVAS, CANVAS_NODES
from training.network import MULTIPLE

_SHORT_SIDE: Final = 360
_PICTURES: Final = 12
_EXACT: Final = frozenset({"first.weight", "paint.weight"})
_PREPARED: Final = ("onnx.quant.pre_process", "onnxruntime.quant")


def quantise(model: onnx.ModelProto, pictures: list[Path]) -> onnx.ModelProto:
    """Return ``model`` with int8 convolutions, its ranges taken from ``pictures``."""
    with tempfile.TemporaryDirectory() as folder:
        exact, small = Path(folder) / "exact", Path(folder) / "small"
        prepared = onnx.ModelProto()
        prepared.CopyFrom(model)
        # The graph is drawn as small as the tool's own preparation would make it.
        prepared.metadata_props.add(key=_PREPARED[0], value=_PREPARED[1])
        onnx.save(prepared, exact)
        quantize_static(
            exact,
            small,
            _Pictures(pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Add", "Relu", "Resize"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QUInt8,
            nodes_to_exclude=[
                node.name
                for node in model.graph.node
                if _EXACT & {*node.input} or node.name.startswith(CANVAS_NODES)
            ],
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"CalibMovingAverage": True},
        )
        return onnx.load(small)


class _Pictures(CalibrationDataReader):
    """Hands ONNX Runtime the pictures one by one, spread over all there are."""

    def __init__(self, pictures: list[Path]) -> None:
        chosen = pictures[:: max(1, len(pictures) // _PICTURES)][:_PICTURES]
        corner = np.zeros((1, 2), np.int32)
        self._frames: Iterator[dict[str, Any]] = (
            {"frames": frames(path), CANVAS: corner} for path in chosen
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._frames, None)


def frames(path: Path, short_side: int = _SHORT_SIDE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a picture as one frame for a network: (1, 3, H, W), uint8, sides of 4s."""
    picture = (read_picture(path, short_side) * 255).round().byte().numpy()
    height, width = (length // MULTIPLE * MULTIPLE for length in picture.shape[1:])
    return np.ascontiguousarray(picture[None, :, :height, :width])
