"""Reads from an ONNX file what averaging networks needs, and nothing else.

An ONNX file is one Protocol Buffers message. Of its fields (``onnx.proto`` of ONNX 1.x) these
matter here: the graph's nodes, the tensors that hold the weights, and the metadata. The weights are
found as spans of the file, so that they can be replaced in place, byte for byte; the rest of the
file stays what its exporter wrote.

Weights have to be replaced in the file. `SessionOptions.add_initializer` of ONNX Runtime looks made
for it, but on a CPU the optimiser turns the file's own weights into its blocked layout first, and
the given ones are dropped without a word (seen with 1.31).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_METADATA = 7, 8, 14
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}
_LAST_BYTE: Final = 0x80


class _Field(NamedTuple):
    """One field of a message: its number, and where its content lies in the file."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of weights; ``data_type`` is ONNX's number, ``data[start:end]`` the elements."""

    data_type: int
    shape: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """An ONNX file's weights by name, its metadata, and a digest of how it computes."""

    data: bytes
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    structure: str

    def content(self, name: str) -> bytes:
        """Return the elements of a tensor, little-endian."""
        tensor = self.tensors[name]
        return self.data[tensor.start : tensor.end]


def read_onnx(data: bytes) -> OnnxFile:
    """Read an ONNX file.

    Raises:
        ValueError: it is none.
    """
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    structure = hashlib.sha256()
    for field in _fields(data, 0, len(data)):
        if field.number == _MODEL_GRAPH:
            for part in _fields(data, field.start, field.end):
                if part.number == _GRAPH_TENSOR:
                    name, tensor = _tensor(data, part, structure)
                    tensors[name] = tensor
                elif part.number in (_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT):
                    structure.update(data[part.start : part.end])
        elif field.number == _MODEL_OPSET:
            structure.update(data[field.start : field.end])
        elif field.number == _MODEL_METADATA:
            entry = {part.number: part for part in _fields(data, field.start, field.end)}
            metadata[_text(data, entry.get(_ENTRY_KEY))] = _text(data, entry.get(_ENTRY_VALUE))
    if not tensors:
        raise ValueError("it holds no weights")
    return OnnxFile(data, tensors, metadata, structure.hexdigest())


def _tensor(data: bytes, message: _Field, structure: hashlib._Hash) -> tuple[str, Tensor]:
    name, data_type, shape, raw = "", 0, b"", (0, 0)
    for field in _fields(data, message.start, message.end):
        content = data[field.start : field.end]
        if field.number == _TENSOR_NAME:
            name = content.decode()
        elif field.number == _TENSOR_TYPE:
            data_type = _varint(data, field.start, field.end)[0]
        elif field.number == _TENSOR_DIMS:
            shape += content + b","
        elif field.number == _TENSOR_RAW:
            raw = (field.start, field.end)
        else:
            # Elements that are kept in another way are not averaged: they have to be the same.
            structure.update(content)
    return name, Tensor(data_type, shape, *raw)


def _text(data: bytes, field: _Field | None) -> str:
    return data[field.start : field.end].decode() if field else ""


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        tag, at = _varint(data, at, end)
        wire = tag & 7
        if wire == _VARINT:
            stop = _varint(data, at, end)[1]
        elif wire == _BYTES:
            length, at = _varint(data, at, end)
            stop = at + length
        elif wire in _WIDTHS:
            stop = at + _WIDTHS[wire]
        else:
            raise ValueError(f"it is no Protocol Buffers message at byte {at}")
        if stop > end:
            raise ValueError(f"it is cut off at byte {end}")
        yield _Field(tag >> 3, at, stop)
        at = stop


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < _LAST_BYTE:
            return value, at
    raise ValueError(f"it holds no number at byte {at}")
