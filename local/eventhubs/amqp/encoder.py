"""Encode AMQP 1.0 values in their shortest forms (part 1: types, section 1.6)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from typing import Any, Final

from local.eventhubs.amqp.values import (
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

_SMALL: Final = 255


def encode(value: Any) -> bytes:
    """Return the wire form of ``value``; ``ValueError`` if AMQP cannot represent it."""
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


def _encode_bool(out: bytearray, value: bool) -> None:
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
    _encode_compound(out, 0xE0, len(value.items), _array_body(value.items))


def _array_body(items: tuple[Any, ...]) -> bytearray:
    """Return the constructor that all items share, followed by the items without theirs."""
    kinds = {type(item) for item in items}
    if len(kinds) > 1:
        message = "the items of an AMQP array are of one type"
        raise ValueError(message)
    kind = kinds.pop() if kinds else type(None)
    if kind is Described:
        descriptors = {encode(item.descriptor) for item in items}
        if len(descriptors) > 1:
            message = "the items of an AMQP array have one descriptor"
            raise ValueError(message)
        body = bytearray(b"\x00" + descriptors.pop())
        return body + _array_body(tuple(item.value for item in items))
    if kind is Decimal:
        wire = [encode(item) for item in items]
        if len({item[0] for item in wire}) > 1:
            message = "the decimals of an AMQP array are of one width"
            raise ValueError(message)
        return bytearray(wire[0][:1] + b"".join(item[1:] for item in wire))
    if kind not in _ARRAY_FORMS:
        message = f"AMQP has no type for {kind.__name__}"
        raise ValueError(message)
    code, write = _ARRAY_FORMS[kind]
    body = bytearray((code,))
    for item in items:
        body += write(item)
    return body


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


def _wide_list(items: list[Any]) -> bytes:
    body = b"".join(map(encode, items))
    return struct.pack(">II", len(body) + 4, len(items)) + body


def _wide_map(items: dict[Any, Any]) -> bytes:
    return _wide_list([part for pair in items.items() for part in pair])


def _wide_array(array: Array) -> bytes:
    body = _array_body(array.items)
    return struct.pack(">II", len(body) + 4, len(array.items)) + body


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
    Symbol: lambda out, value: _encode_variable(out, 0xA3, value.encode("latin-1")),
    list: _encode_list,
    tuple: _encode_list,
    dict: _encode_map,
    Array: _encode_array,
    Described: _encode_described,
    Encoded: lambda out, value: out.extend(value.data),
}

# An array has one constructor for all its items, so the full width is used.
_ARRAY_FORMS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    type(None): (0x40, lambda _: b""),
    bool: (0x56, lambda value: bytes((value,))),
    UByte: (0x50, lambda value: struct.pack(">B", value)),
    UShort: (0x60, lambda value: struct.pack(">H", value)),
    UInt: (0x70, lambda value: struct.pack(">I", value)),
    ULong: (0x80, lambda value: struct.pack(">Q", value)),
    Byte: (0x51, lambda value: struct.pack(">b", value)),
    Short: (0x61, lambda value: struct.pack(">h", value)),
    Int: (0x71, lambda value: struct.pack(">i", value)),
    Long: (0x81, lambda value: struct.pack(">q", value)),
    int: (0x81, lambda value: struct.pack(">q", value)),
    Float: (0x72, lambda value: struct.pack(">f", value)),
    float: (0x82, lambda value: struct.pack(">d", value)),
    Char: (0x73, lambda value: struct.pack(">I", ord(value))),
    Timestamp: (0x83, lambda value: struct.pack(">q", value)),
    uuid.UUID: (0x98, lambda value: bytes(value.bytes)),
    bytes: (0xB0, _sized),
    str: (0xB1, lambda value: _sized(value.encode())),
    Symbol: (0xB3, lambda value: _sized(value.encode("latin-1"))),
    list: (0xD0, _wide_list),
    tuple: (0xD0, _wide_list),
    dict: (0xD1, _wide_map),
    Array: (0xF0, _wide_array),
}
