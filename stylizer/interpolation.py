"""Blends networks by averaging their weights: a blend then costs what one network costs.

Networks that were trained from one ancestor lie close enough together for the weighted mean of
their weights to be a network in between (Wang et al., "Deep Network Interpolation for Continuous
Imagery Effect Transition", CVPR 2019). Of networks of different ancestors the mean is noise, so
every network has to say in its metadata which ``trunk`` it grew from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from shared.styles.blend import WHOLE
from stylizer.onnx_file import OnnxFile, read_onnx

TRUNK: Final = "trunk"
"""Key of the network's metadata: networks with the same value may be averaged."""

# TensorProto.DataType: those that can be averaged, as NumPy names them, little-endian.
_FLOATS: Final = {1: "<f4", 10: "<f2", 11: "<f8"}


class NotInterpolable(Exception):
    """The networks have no common ancestor, or are not built alike."""


def interpolate(networks: Sequence[bytes], percents: Sequence[int]) -> bytes:
    """Return the ONNX file of the network whose weights are the mean, ``percents`` the shares.

    Raises:
        NotInterpolable: with the reason.
    """
    try:
        first, *others = files = [read_onnx(network) for network in networks]
    except ValueError as error:
        raise NotInterpolable(f"a network's weights cannot be read: {error}") from error
    for other in others:
        _check_alike(first, other)
    mean = bytearray(first.data)
    for name, tensor in first.tensors.items():
        if number := _FLOATS.get(tensor.data_type):
            weights = np.zeros((tensor.end - tensor.start) // np.dtype(number).itemsize)
            for file, percent in zip(files, percents, strict=True):
                weights += np.frombuffer(file.content(name), number) * (percent / WHOLE)
            mean[tensor.start : tensor.end] = weights.astype(number).tobytes()
    return bytes(mean)


def _check_alike(one: OnnxFile, other: OnnxFile) -> None:
    trunks = [file.metadata.get(TRUNK) for file in (one, other)]
    if not all(trunks):
        raise NotInterpolable("a network does not say which trunk it grew from")
    if trunks[0] != trunks[1]:
        raise NotInterpolable("the networks grew from different trunks")
    if one.structure != other.structure or one.tensors.keys() != other.tensors.keys():
        raise NotInterpolable("the networks are not built alike")
    for name, tensor in one.tensors.items():
        twin = other.tensors[name]
        if (tensor.data_type, tensor.shape, tensor.end - tensor.start) != (
            twin.data_type,
            twin.shape,
            twin.end - twin.start,
        ):
            raise NotInterpolable(f"the weights {name!r} differ in type or shape")
        if tensor.data_type not in _FLOATS and one.content(name) != other.content(name):
            raise NotInterpolable(f"the weights {name!r} are no floating-point numbers")
