"""AMQP values: known bytes, round trips, and invalid bytes."""

from __future__ import annotations

import math
import struct
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.eventhubs.amqp.decoder import MAX_DEPTH, decode, skip
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.errors import DecodeError
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


def ints(kind: type, bits: int, *, signed: bool) -> st.SearchStrategy[Any]:
    low = -(2 ** (bits - 1)) if signed else 0
    return st.integers(low, low + 2**bits - 1).map(kind)


SCALARS = {
    "null": st.none(),
    "boolean": st.booleans(),
    "ubyte": ints(UByte, 8, signed=False),
    "ushort": ints(UShort, 16, signed=False),
    "uint": ints(UInt, 32, signed=False),
    "ulong": ints(ULong, 64, signed=False),
    "byte": ints(Byte, 8, signed=True),
    "short": ints(Short, 16, signed=True),
    "int": ints(Int, 32, signed=True),
    "long": ints(Long, 64, signed=True),
    "timestamp": ints(Timestamp, 64, signed=True),
    "float": st.floats(width=32, allow_nan=False).map(Float),
    "double": st.floats(allow_nan=False),
    "decimal": st.sampled_from([4, 8, 16])
    .flatmap(lambda size: st.binary(min_size=size, max_size=size))
    .map(Decimal),
    "char": st.characters(exclude_categories=["Cs"]).map(Char),
    "uuid": st.uuids(),
    "binary": st.binary(max_size=300),
    "string": st.text(max_size=100),
    "symbol": st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol),
}
ARRAYS = st.one_of(
    st.lists(SCALARS[name], max_size=20).map(lambda items: Array(tuple(items)))
    for name in SCALARS
    if name != "decimal"
)
KEYS = st.one_of(SCALARS["string"], SCALARS["symbol"], SCALARS["ulong"])
VALUES = st.recursive(
    st.one_of(*SCALARS.values(), ARRAYS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=8),
        st.dictionaries(KEYS, inner, max_size=8),
        st.builds(Described, SCALARS["ulong"] | SCALARS["symbol"], inner),
    ),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same AMQP types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    if isinstance(one, Described):
        return same(one.descriptor, other.descriptor) and same(one.value, other.value)
    if isinstance(one, Array):
        return same(list(one.items), list(other.items))
    return bool(one == other)


@given(VALUES)
@settings(max_examples=60)
def test_every_value_comes_back_as_it_was_with_its_type(value: Any) -> None:
    data = encode(value)
    decoded, end = decode(data + b"rest")
    assert same(decoded, value)
    assert end == len(data) == skip(data + b"rest", 0)


@given(VALUES, st.data())
@settings(max_examples=40)
def test_a_value_that_is_cut_short_is_an_error(value: Any, draw: st.DataObject) -> None:
    data = encode(value)
    cut = draw.draw(st.integers(0, len(data) - 1))
    with pytest.raises(DecodeError):
        decode(data[:cut])
    with pytest.raises(DecodeError):
        skip(data[:cut], 0)


@given(st.binary(max_size=200))
def test_nonsense_is_an_error_and_nothing_else(data: bytes) -> None:
    try:
        value, end = decode(data)
    except DecodeError:
        return
    assert 0 < end <= len(data)
    # Whatever a client sent can be echoed
    assert same(decode(encode(value))[0], value) or "nan" in repr(value)


# From the specification's tables and from frames of azure-eventhub.
GOLDEN = [
    (None, "40"),
    (True, "41"),
    (False, "42"),
    (UByte(7), "5007"),
    (UShort(258), "600102"),
    (UInt(0), "43"),
    (UInt(255), "52ff"),
    (UInt(256), "7000000100"),
    (ULong(0), "44"),
    (ULong(16), "5310"),
    (ULong(2**63), "808000000000000000"),
    (Byte(-1), "51ff"),
    (Short(-2), "61fffe"),
    (Int(-128), "5480"),
    (Int(128), "7100000080"),
    (Long(-1), "55ff"),
    (Long(2**40), "810000010000000000"),
    (5, "5505"),
    (1.5, "823ff8000000000000"),
    (Float(1.5), "723fc00000"),
    (Char("A"), "7300000041"),
    (Timestamp(1), "830000000000000001"),
    (uuid.UUID(int=1), "98" + "00" * 15 + "01"),
    (b"ab", "a0026162"),
    ("é", "a102c3a9"),
    (Symbol("amqp"), "a304616d7170"),
    (b"x" * 256, "b000000100" + "78" * 256),
    ([], "45"),
    ([UInt(1), None], "c00402520140"[:4] + "02520140"),
    ({}, "c10100"),
    ({"a": True}, "c10502a1016141"),
    (Array((Symbol("a"), Symbol("b"))), "e00c02b3" + "0000000161" + "0000000162"),
    (Described(ULong(0x24), []), "00532445"),
    (Encoded(b"\x40"), "40"),
]


@pytest.mark.parametrize(("value", "wire"), GOLDEN, ids=lambda item: str(item)[:20])
def test_known_values_have_their_known_bytes(value: Any, wire: str) -> None:
    assert encode(value).hex() == wire


@pytest.mark.parametrize(
    "wire",
    [
        "5601",  # a boolean by its octet
        "e00602a1" + "0161" + "0162",  # an array of short strings
        "f00000000900000002a3" + "0161" + "0162",
        "d00000000900000003" + "5201" + "40" + "5203",
        "e00100",  # an empty array without a constructor
        "e0020040",  # and with one
        "e00702" + "00532453" + "0102",  # an array of described values
    ],
)
def test_other_forms_are_understood_too(wire: str) -> None:
    data = bytes.fromhex(wire)
    assert decode(data)[1] == len(data) == skip(data, 0)


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        ("ff", "no AMQP type"),
        ("f0ffffffff0000000040", "longer than the bytes"),
        ("f000000005ffffffff40", "more items"),
        ("d000000004ffffffff", "more items"),
        ("c10401a10161", "longer than|key without|does not end"),
        ("c1050245a10161", "itself a list"),
        ("c00301404040", "does not end"),
        ("a102c328", "UTF-8"),
        ("5602", "boolean"),
        ("7300110000", "Unicode"),
        ("00" * 200, "nested|end in the middle"),
        ("c0ff01" * 100, "nested|longer"),
    ],
)
def test_broken_values_are_refused_with_the_reason(wire: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(bytes.fromhex(wire))


def test_nesting_is_bounded_in_decoding_and_in_skipping() -> None:
    value: Any = None
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value))[0] == value
    with pytest.raises(DecodeError, match="nested deeper"):
        decode(encode([value]))
    with pytest.raises(DecodeError):
        skip(b"\x00" * 1_000_000, 0)


@pytest.mark.parametrize(
    "value",
    [object(), UInt(-1), UInt(2**32), Long(2**63), Array((1, "a")), {"a": object()}, "\ud800"],
)
def test_what_amqp_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        encode(value)


@pytest.mark.parametrize(
    "items",
    [
        ([UInt(1)], [None, "a"], []),
        ({"a": Long(1)}, {}),
        (Array((Long(1), Long(2))), Array(())),
        (Decimal(b"1234"), Decimal(b"5678")),
        (Described(ULong(1), "a"), Described(ULong(1), "b")),
        (Described(Symbol("x"), [Long(1)]),),
    ],
    ids=["lists", "maps", "arrays", "decimals", "described strings", "described lists"],
)
def test_arrays_of_anything_come_back(items: tuple[Any, ...]) -> None:
    assert same(decode(encode(Array(items)))[0], Array(items))


def test_not_a_number_survives() -> None:
    assert math.isnan(decode(encode(math.nan))[0])
    assert struct.pack(">d", decode(encode(-0.0))[0]) == struct.pack(">d", -0.0)
