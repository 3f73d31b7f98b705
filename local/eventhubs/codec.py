"""Encode and decode AMQP 1.0 values (part 1: types, section 1.6).

Decoding trusts nothing: sizes and counts are checked against the bytes that are
there before anything is allocated, nesting is bounded, and whatever is wrong
raises ``DecodeError``. Encoding picks the shortest form of each type.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any, Final

from local.eventhubs.errors import DecodeError
from local.eventhubs.values import (
    Array,
    Byte,
    Char,
    Decimal,
    Described,
    Encoded,
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

# No frame of any known client nests deeper than 6.
MAX_DEPTH: Final = 32
# Elements without a width (null, true, uint0) cost no bytes, so that only a
# limit of our own bounds an array of them.
MAX_WIDTHLESS: Final = 4096

_SMALL: Final = 255

# -- encoding ---------------------------------------------------------------


def encode(value: Any) -> bytes:
    """Return the wire form of ``value``; ``ValueError`` if AMQP cannot hold it."""
    out = bytearray()
    encode_into(out, value)
    return bytes(out)


def encode_into(out: bytearray, value: Any) -> None:
    """Append the wire form of ``value`` to ``out``."""
    encoder = _ENCODERS.get(type(value))
    if encoder is None:
        message = f"AMQP has no type for {type(value).__name__}"
        raise ValueError(message)
    try:
        encoder(out, value)
    except struct.error as error:
        message = f"{value!r} does not fit the AMQP type {type(value).__name__}"
        raise ValueError(message) from error


def _encode_bool(out: bytearray, value: bool) -> None:  # noqa: FBT001 - the value itself
    out.append(0x41 if value else 0x42)


def _encode_uint(out: bytearray, value: int) -> None:
    if value == 0:
        out.append(0x43)
    elif 0 < value <= _SMALL:
        out += bytes((0x52, value))
    else:
        out += struct.pack(">BI", 0x70, value)


def _encode_ulong(out: bytearray, value: int) -> None:
    if value == 0:
        out.append(0x44)
    elif 0 < value <= _SMALL:
        out += bytes((0x53, value))
    else:
        out += struct.pack(">BQ", 0x80, value)


def _signed(small: int, large: int, layout: str) -> Callable[[bytearray, int], None]:
    def encode_signed(out: bytearray, value: int) -> None:
        if -128 <= value <= 127:  # noqa: PLR2004 - the range of one byte
            out += struct.pack(">Bb", small, value)
        else:
            out += struct.pack(layout, large, value)

    return encode_signed


def _fixed(code: int, layout: str) -> Callable[[bytearray, Any], None]:
    def encode_fixed(out: bytearray, value: Any) -> None:
        out += struct.pack(layout, code, value)

    return encode_fixed


def _encode_variable(out: bytearray, small: int, data: bytes) -> None:
    if len(data) <= _SMALL:
        out += bytes((small, len(data)))
    else:
        out += struct.pack(">BI", small + 0x10, len(data))
    out += data


def _encode_compound(out: bytearray, small: int, count: int, body: bytearray) -> None:
    if count <= _SMALL and len(body) < _SMALL:
        out += bytes((small, len(body) + 1, count))
    else:
        out += struct.pack(">BII", small + 0x10, len(body) + 4, count)
    out += body


def _encode_list(out: bytearray, value: list[Any] | tuple[Any, ...]) -> None:
    if not value:
        out.append(0x45)
        return
    body = bytearray()
    for item in value:
        encode_into(body, item)
    _encode_compound(out, 0xC0, len(value), body)


def _encode_map(out: bytearray, value: dict[Any, Any]) -> None:
    body = bytearray()
    for key, item in value.items():
        encode_into(body, key)
        encode_into(body, item)
    _encode_compound(out, 0xC1, 2 * len(value), body)


def _encode_array(out: bytearray, value: Array) -> None:
    kinds = {type(item) for item in value.items}
    if len(kinds) > 1:
        message = "the items of an AMQP array are of one type"
        raise ValueError(message)
    kind = kinds.pop() if kinds else type(None)
    if kind not in _ARRAY_FORMS:
        message = f"AMQP arrays of {kind.__name__} are not supported"
        raise ValueError(message)
    code, write = _ARRAY_FORMS[kind]
    body = bytearray((code,))
    for item in value.items:
        body += write(item)
    _encode_compound(out, 0xE0, len(value.items), body)


def _encode_described(out: bytearray, value: Described) -> None:
    out.append(0x00)
    encode_into(out, value.descriptor)
    encode_into(out, value.value)


def _encode_decimal(out: bytearray, value: Decimal) -> None:
    code = {4: 0x74, 8: 0x84, 16: 0x94}.get(len(value))
    if code is None:
        message = "a decimal has 4, 8 or 16 bytes"
        raise ValueError(message)
    out.append(code)
    out += value


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


_ENCODERS: Final[dict[type, Callable[[bytearray, Any], None]]] = {
    type(None): lambda out, _: out.append(0x40),
    bool: _encode_bool,
    UByte: _fixed(0x50, ">BB"),
    UShort: _fixed(0x60, ">BH"),
    UInt: _encode_uint,
    ULong: _encode_ulong,
    Byte: _fixed(0x51, ">Bb"),
    Short: _fixed(0x61, ">Bh"),
    Int: _signed(0x54, 0x71, ">Bi"),
    Long: _signed(0x55, 0x81, ">Bq"),
    int: _signed(0x55, 0x81, ">Bq"),
    Timestamp: _fixed(0x83, ">Bq"),
    Float: _fixed(0x72, ">Bf"),
    float: _fixed(0x82, ">Bd"),
    Decimal: _encode_decimal,
    Char: lambda out, value: out.extend(struct.pack(">BI", 0x73, ord(value))),
    uuid.UUID: lambda out, value: out.extend(b"\x98" + value.bytes),
    bytes: lambda out, value: _encode_variable(out, 0xA0, value),
    bytearray: lambda out, value: _encode_variable(out, 0xA0, value),
    str: lambda out, value: _encode_variable(out, 0xA1, value.encode()),
    Symbol: lambda out, value: _encode_variable(out, 0xA3, value.encode("ascii")),
    list: _encode_list,
    tuple: _encode_list,
    dict: _encode_map,
    Array: _encode_array,
    Described: _encode_described,
    Encoded: lambda out, value: out.extend(value.data),
}

# An array has one constructor for all its items, so that the full width is used.
_ARRAY_FORMS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    type(None): (0x40, lambda _: b""),
    bool: (0x56, lambda value: bytes((value,))),
    UByte: (0x50, lambda value: struct.pack(">B", value)),
    UShort: (0x60, lambda value: struct.pack(">H", value)),
    UInt: (0x70, lambda value: struct.pack(">I", value)),
    ULong: (0x80, lambda value: struct.pack(">Q", value)),
    Int: (0x71, lambda value: struct.pack(">i", value)),
    Long: (0x81, lambda value: struct.pack(">q", value)),
    int: (0x81, lambda value: struct.pack(">q", value)),
    float: (0x82, lambda value: struct.pack(">d", value)),
    Timestamp: (0x83, lambda value: struct.pack(">q", value)),
    uuid.UUID: (0x98, lambda value: bytes(value.bytes)),
    bytes: (0xB0, _sized),
    str: (0xB1, lambda value: _sized(value.encode())),
    Symbol: (0xB3, lambda value: _sized(value.encode("ascii"))),
}

# -- decoding ---------------------------------------------------------------


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
        # The empty list is mutable, and so never shared.
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
    # Latin characters are tolerated: a symbol is only ever compared.
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
