"""Blends networks by averaging their weights: a blend then costs what one network costs.

Networks that were trained from one ancestor lie close enough together for the weighted mean of
their weights to be a network in between (Wang et al., "Deep Network Interpolation for Continuous
Imagery Effect Transition", CVPR 2019). The mean of networks with different ancestors is noise, so
every network has to name in its metadata the ``trunk`` that it was trained from.

The mean is written into a copy of the file. `SessionOptions.add_initializer` of ONNX Runtime looks
made for it, but on a CPU the optimiser has converted the file's own weights to its blocked layout
by then, and silently drops the given ones (seen with 1.31).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from onnx.numpy_helper import from_array, to_array

from shared.contracts.style_blend import WHOLE

TRUNK: Final = "trunk"
"""Key in a network's metadata: networks with the same value may be averaged."""


class NotInterpolable(Exception):
    """The networks have no common ancestor, or are not built alike."""


def interpolate(networks: Sequence[bytes], percents: Sequence[int]) -> bytes:
    """Return the ONNX file of the mean of ``networks``, whose shares in it are ``percents``.

    Raises:
        NotInterpolable: with the reason.
    """
    first, *others = models = [_read(network) for network in networks]
    for other in others:
        _check_alike(first, other)
    tensors = zip(*(model.graph.initializer for model in models), strict=True)
    # The first of each row is changed in place.
    for row in list(tensors):
        _average(row, percents)
    return bytes(first.SerializeToString())


def _read(network: bytes) -> ModelProto:
    try:
        return onnx.load_from_string(network)
    except DecodeError as error:
        raise NotInterpolable(f"a network cannot be read: {error}") from error


def _average(row: Sequence[TensorProto], percents: Sequence[int]) -> None:
    name, weights = row[0].name, [to_array(tensor) for tensor in row]
    if np.issubdtype(weights[0].dtype, np.floating):
        shares = [w.astype(np.float64) * p / WHOLE for w, p in zip(weights, percents, strict=True)]
        row[0].CopyFrom(from_array(np.sum(shares, axis=0).astype(weights[0].dtype), name))
    elif any(not np.array_equal(weights[0], other) for other in weights[1:]):
        raise NotInterpolable(f"the weights {name!r} are not floating-point numbers")


def _check_alike(one: ModelProto, other: ModelProto) -> None:
    trunks = [_trunk(model) for model in (one, other)]
    if not all(trunks):
        raise NotInterpolable("a network does not name its trunk")
    if trunks[0] != trunks[1]:
        raise NotInterpolable("the networks have different trunks")
    if _build(one) != _build(other):
        raise NotInterpolable("the networks have different structures")


def _trunk(model: ModelProto) -> str | None:
    return next((entry.value for entry in model.metadata_props if entry.key == TRUNK), None)


def _build(model: ModelProto) -> list[object]:
    """Return everything about a network but its weights: operators, inputs, outputs and shapes."""
    graph = model.graph
    parts = [*model.opset_import, *graph.node, *graph.input, *graph.output]
    tensors = [(t.name, t.data_type, tuple(t.dims)) for t in graph.initializer]
    return [part.SerializeToString(deterministic=True) for part in parts] + [tensors]
