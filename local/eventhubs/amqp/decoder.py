"""Decode AMQP 1.0 values (part 1: types, section 1.6) from untrusted bytes.

Sizes and counts are checked against the available bytes before anything is allocated,
nesting is bounded, and every error raises ``DecodeError``.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any, Final

from local.eventhubs.amqp.errors import DecodeError
from local.eventhubs.amqp.values import (
    Array,
    Byte,
    Char,
    Decimal,
    Described,
    Float,
    Int,
    Long,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

# Frames of known clients nest at most 6 deep.
MAX_DEPTH: Final = 32
# Elements without a width (null, true, uint0) take no bytes, so only an explicit limit
# bounds an array of them.
MAX_WIDTHLESS: Final = 4096


def decode(data: bytes, position: int = 0) -> tuple[Any, int]:
    """Return the value at ``position`` and the position after it."""
    try:
        return _decode(data, position, 0)
    except (struct.error, IndexError) as error:
        message = "the bytes end in the middle of a value"
        raise DecodeError(message) from error
    except UnicodeDecodeError as error:
        message = "a string is not valid UTF-8"
        raise DecodeError(message) from error


def skip(data: bytes, position: int) -> int:
    """Return the position after the value at ``position``, without building it."""
    try:
        while data[position] == 0x00:
            position = skip(data, position + 1)
        code = data[position]
        width = code >> 4
        if width in _FIXED_WIDTHS:
            end = position + 1 + _FIXED_WIDTHS[width]
        elif width in (0xA, 0xC, 0xE):
            end = position + 2 + data[position + 1]
        elif width in (0xB, 0xD, 0xF):
            end = position + 5 + int(_UINT.unpack_from(data, position + 1)[0])
        else:
            message = f"there is no AMQP type with constructor 0x{code:02x}"
            raise DecodeError(message)
    except (struct.error, IndexError, RecursionError) as error:
        message = "the bytes end in the middle of a value"
        raise DecodeError(message) from error
    if end > len(data):
        message = "the bytes end in the middle of a value"
        raise DecodeError(message)
    return end


_UINT: Final = struct.Struct(">I")
# Section 1.2: the high nibble of a constructor gives the width of a fixed value.
_FIXED_WIDTHS: Final = {4: 0, 5: 1, 6: 2, 7: 4, 8: 8, 9: 16}


def _decode(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    code = data[position]
    if code == 0x00:
        return _decode_described(data, position + 1, depth)
    return _decode_as(code, data, position + 1, depth)


def _decode_described(data: bytes, position: int, depth: int) -> tuple[Any, int]:
    _check_depth(depth)
    descriptor, position = _decode(data, position, depth + 1)
    value, position = _decode(data, position, depth + 1)
    return Described(descriptor, value), position


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        message = f"values are nested deeper than {MAX_DEPTH} levels"
        raise DecodeError(message)


def _decode_as(code: int, data: bytes, position: int, depth: int) -> tuple[Any, int]:
    constant = _CONSTANTS.get(code)
    if constant is not None:
        # The empty list is mutable, so it is never shared.
        return ([] if code == 0x45 else constant[0]), position  # noqa: PLR2004
    fixed = _FIXED.get(code)
    if fixed is not None:
        layout, kind = fixed
        return kind(layout.unpack_from(data, position)[0]), position + layout.size
    variable = _VARIABLE.get(code)
    if variable is not None:
        size, start = _size_at(data, position, wide=code >= 0xB0)  # noqa: PLR2004 - 32-bit forms
        end = start + size
        if end > len(data):
            message = "the bytes end in the middle of a value"
            raise DecodeError(message)
        return variable(data[start:end]), end
    if code in _COMPOUND:
        return _decode_compound(code, data, position, depth)
    message = f"there is no AMQP type with constructor 0x{code:02x}"
    raise DecodeError(message)


def _size_at(data: bytes, position: int, *, wide: bool) -> tuple[int, int]:
    if wide:
        return _UINT.unpack_from(data, position)[0], position + 4
    return data[position], position + 1


def _decode_compound(code: int, data: bytes, position: int, depth: int) -> tuple[Any, int]:
    _check_depth(depth)
    wide = bool(code & 0x10)
    size, start = _size_at(data, position, wide=wide)
    end = start + size
    if end > len(data):
        message = "a list, map or array is longer than the bytes that are there"
        raise DecodeError(message)
    count, position = _size_at(data, start, wide=wide)
    kind = code & 0xEF
    value: Any
    if kind == 0xE0:  # noqa: PLR2004 - array
        value, position = _decode_array(data, position, count, end, depth)
    else:
        if count > end - position:
            message = "a list or map announces more items than its bytes can hold"
            raise DecodeError(message)
        items: list[Any] = []
        for _ in range(count):
            item, position = _decode(data, position, depth + 1)
            items.append(item)
        value = items if kind == 0xC0 else _as_map(items)  # noqa: PLR2004 - list
    if position != end:
        message = "a list, map or array does not end where its size says"
        raise DecodeError(message)
    return value, end


def _as_map(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        message = "a map has a key without a value"
        raise DecodeError(message)
    try:
        return dict(zip(items[::2], items[1::2], strict=True))
    except TypeError as error:
        message = "the key of a map is itself a list or map"
        raise DecodeError(message) from error


def _decode_array(
    data: bytes, position: int, count: int, end: int, depth: int
) -> tuple[Array, int]:
    if count == 0:
        # An empty array may or may not carry the constructor of its items.
        return Array(()), end
    code = data[position]
    position += 1
    descriptor: Any = None
    described = code == 0x00
    if described:
        descriptor, position = _decode(data, position, depth + 1)
        code = data[position]
        position += 1
    if count > (MAX_WIDTHLESS if code in _CONSTANTS else end - position):
        message = "an array announces more items than its bytes can hold"
        raise DecodeError(message)
    items: list[Any] = []
    for _ in range(count):
        item, position = _decode_as(code, data, position, depth + 1)
        items.append(Described(descriptor, item) if described else item)
    return Array(tuple(items)), position


def _decode_char(point: int) -> Char:
    try:
        return Char(chr(point))
    except (ValueError, OverflowError) as error:
        message = f"{point} is not a Unicode character"
        raise DecodeError(message) from error


def _decode_symbol(data: bytes) -> Symbol:
    # Symbols are ASCII. Other bytes are tolerated, and encoded again unchanged.
    return Symbol(data.decode("latin-1"))


def _decode_boolean(octet: int) -> bool:
    if octet > 1:
        message = f"a boolean is 0 or 1, not {octet}"
        raise DecodeError(message)
    return bool(octet)


def _decode_uuid(data: bytes) -> uuid.UUID:
    return uuid.UUID(bytes=data)


_CONSTANTS: Final[dict[int, tuple[Any]]] = {
    0x40: (None,),
    0x41: (True,),
    0x42: (False,),
    0x43: (UInt(0),),
    0x44: (ULong(0),),
    0x45: ([],),
}

_FIXED: Final[dict[int, tuple[struct.Struct, Callable[[Any], Any]]]] = {
    0x50: (struct.Struct(">B"), UByte),
    0x51: (struct.Struct(">b"), Byte),
    0x52: (struct.Struct(">B"), UInt),
    0x53: (struct.Struct(">B"), ULong),
    0x54: (struct.Struct(">b"), Int),
    0x55: (struct.Struct(">b"), Long),
    0x56: (struct.Struct(">B"), _decode_boolean),
    0x60: (struct.Struct(">H"), UShort),
    0x61: (struct.Struct(">h"), Short),
    0x70: (struct.Struct(">I"), UInt),
    0x71: (struct.Struct(">i"), Int),
    0x72: (struct.Struct(">f"), Float),
    0x73: (struct.Struct(">I"), _decode_char),
    0x74: (struct.Struct("4s"), Decimal),
    0x80: (struct.Struct(">Q"), ULong),
    0x81: (struct.Struct(">q"), Long),
    0x82: (struct.Struct(">d"), float),
    0x83: (struct.Struct(">q"), Timestamp),
    0x84: (struct.Struct("8s"), Decimal),
    0x94: (struct.Struct("16s"), Decimal),
    0x98: (struct.Struct("16s"), _decode_uuid),
}

_VARIABLE: Final[dict[int, Callable[[bytes], Any]]] = {
    0xA0: bytes,
    0xA1: lambda data: data.decode(),
    0xA3: _decode_symbol,
    0xB0: bytes,
    0xB1: lambda data: data.decode(),
    0xB3: _decode_symbol,
}

_COMPOUND: Final = frozenset((0xC0, 0xC1, 0xD0, 0xD1, 0xE0, 0xF0))
