"""The AMQP 1.0 types that Python lacks (AMQP 1.0, part 1: types).

Each wrapper is a subclass of the Python type that it behaves like, so that a decoded
``UInt(5)`` compares equal to ``5`` and a ``Symbol`` is found in a map by a plain string,
while encoding it again preserves its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class Symbol(str):
    """An ASCII name from a constrained domain (section 1.6.21)."""

    __slots__ = ()


class Char(str):
    """A single Unicode character (section 1.6.16)."""

    __slots__ = ()


class UByte(int):
    """An unsigned integer of 8 bits."""

    __slots__ = ()


class UShort(int):
    """An unsigned integer of 16 bits."""

    __slots__ = ()


class UInt(int):
    """An unsigned integer of 32 bits."""

    __slots__ = ()


class ULong(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Byte(int):
    """A signed integer of 8 bits."""

    __slots__ = ()


class Short(int):
    """A signed integer of 16 bits."""

    __slots__ = ()


class Int(int):
    """A signed integer of 32 bits."""

    __slots__ = ()


class Long(int):
    """A signed integer of 64 bits; a plain ``int`` is encoded as one too."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since the Unix epoch (section 1.6.17)."""

    __slots__ = ()


class Float(float):
    """A binary floating point number of 32 bits; a plain ``float`` has 64."""

    __slots__ = ()


class Decimal(bytes):
    """A decimal floating point number, kept as its 4, 8 or 16 wire bytes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A value annotated with a descriptor (section 1.3)."""

    descriptor: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """A sequence of values of the same type (section 1.6.24)."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value that is already in wire form and is passed through unchanged."""

    data: bytes


# The year 1, which the service reports as the time of the last event if there is none.
NEVER: Final = Timestamp(-62_135_596_800_000)
