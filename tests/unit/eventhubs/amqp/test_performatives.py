"""Performatives and frames: known bytes, round trips, and wrong fields."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from azure.eventhub._pyamqp._decode import decode_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from local.eventhubs.amqp.decoder import decode
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.errors import DecodeError, FramingError, LinkFault
from local.eventhubs.amqp.frames import FrameBuffer, encode_frame
from local.eventhubs.amqp.outcomes import ACCEPTED, describe_error, rejected
from local.eventhubs.amqp.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Transfer,
    decode_performative,
    encode_performative,
)
from local.eventhubs.amqp.values import Array, Described, Symbol, ULong

GOLDEN: list[tuple[Any, int, str]] = [
    (
        Open("c", None, 65_536, 4_999, 120_000),
        10,
        "005310c0170aa1016340700001000060138770" + "0001d4c0" + "4040404040",
    ),
    (
        Begin(1, 1, 5_000, 65_536, 255),
        8,
        "005311c01508" + "600001" + "5201" + "7000001388" + "7000010000" + "52ff" + "404040",
    ),
    (
        Attach("n", 0, True, 1, 0, None, None, max_message_size=1_048_576),
        14,
        "005312c01b0e" + "a1016e" + "43" + "41" + "5001" + "5000" + "404040" + "42" + "40"
        "800000000000100000" + "404040",
    ),
    (
        Flow(0, 5_000, 1, 65_536, 0, 0, 300, 0),
        11,
        "005313c0190b"
        "43" + "7000001388" + "5201" + "7000010000" + "4343" + "700000012c" + "43" + "424240",
    ),
    (
        Transfer(0, 1, b"\0\0\0\1", 0, True, batchable=True),
        11,
        "005314c0120b435201a004000000014341424040424241",
    ),
    (
        Disposition(True, 1, 2, True, ACCEPTED),
        6,
        "005315c00c06" + "41" + "5201" + "5202" + "41" + "00532445" + "42",
    ),
    (Detach(0, True), 3, "005316c00403" + "434140"),
    (End(), 1, "005317c0020140"),
    (
        Close(describe_error(LinkFault("a:b", "c"))),
        1,
        "005318c01001" + "00531dc00a03" + "a303613a62" + "a10163" + "40",
    ),
    (SaslOutcome(0), 2, "005344c00402500040"),
    (
        SaslMechanisms(Array((Symbol("PLAIN"),))),
        1,
        "005340c00e01" + "e00b01b300000005504c41494e",
    ),
]


@pytest.mark.parametrize(
    ("performative", "width", "wire"), GOLDEN, ids=lambda item: type(item).__name__
)
def test_every_performative_has_its_known_bytes_at_full_width(
    performative: Any, width: int, wire: str
) -> None:
    data = encode_performative(performative)
    assert data.hex() == wire
    assert len(decode(data)[0].value) == width
    # The SDK's own decoder, which goes by position, finds every field there too
    code, fields = decode_frame(memoryview(data))
    assert code == performative.CODE
    assert len(fields) == width + (1 if code == 0x14 else 0)


UINTS = st.integers(0, 2**32 - 1)
OPTIONAL = st.none() | UINTS
MAPS = st.none() | st.dictionaries(
    st.from_regex(r"[a-z:-]{1,9}", fullmatch=True).map(Symbol), st.integers(0, 9), max_size=3
)
PERFORMATIVES = st.one_of(
    st.builds(
        Open,
        st.text(max_size=300),
        st.none() | st.text(max_size=20),
        UINTS,
        st.integers(0, 65_535),
        OPTIONAL,
        properties=MAPS,
    ),
    st.builds(Begin, st.none() | st.integers(0, 65_535), UINTS, UINTS, UINTS, UINTS),
    st.builds(
        Attach,
        st.text(max_size=20),
        UINTS,
        st.booleans(),
        st.integers(0, 2),
        st.integers(0, 1),
        st.builds(Described, st.just(ULong(0x28)), st.lists(st.text(max_size=9), max_size=3)),
        initial_delivery_count=OPTIONAL,
        max_message_size=st.none() | st.integers(0, 2**64 - 1),
        properties=MAPS,
    ),
    st.builds(
        Flow, OPTIONAL, UINTS, UINTS, UINTS, OPTIONAL, OPTIONAL, OPTIONAL, OPTIONAL, st.booleans()
    ),
    st.builds(
        Transfer,
        UINTS,
        OPTIONAL,
        st.none() | st.binary(max_size=32),
        OPTIONAL,
        st.none() | st.booleans(),
        st.booleans(),
    ),
    st.builds(Disposition, st.booleans(), UINTS, OPTIONAL, st.booleans()),
    st.builds(Detach, UINTS, st.booleans()),
    st.just(End()),
    st.just(Close()),
)


@given(PERFORMATIVES, st.binary(max_size=20), st.integers(0, 65_535))
@settings(max_examples=60)
def test_a_frame_comes_back_as_it_was(performative: Any, payload: bytes, channel: int) -> None:
    buffer = FrameBuffer()
    data = encode_frame(channel, performative, payload)
    buffer.feed(data[:9])
    assert buffer.take_frame(65_536) is None
    buffer.feed(data[9:])
    frame = buffer.take_frame(65_536)
    assert frame is not None
    assert (frame.channel, frame.kind, len(buffer)) == (channel, 0, 0)
    decoded, end = decode_performative(frame.body)
    assert decoded == performative
    assert frame.body[end:] == payload


def test_short_lists_are_filled_up_with_the_defaults() -> None:
    wire = encode(Described(ULong(0x10), ["c"]))
    assert decode_performative(wire)[0] == Open("c")
    wire = encode(Described(Symbol("amqp:detach:list"), [ULong(3)]))
    assert decode_performative(wire)[0] == Detach(3)
    wire = encode(Described(ULong(0x41), [Symbol("PLAIN")]))
    assert decode_performative(wire, sasl=True)[0] == SaslInit("PLAIN")


@pytest.mark.parametrize(
    "body",
    [
        Described(ULong(0x10), []),
        Described(ULong(0x10), [7]),
        Described(ULong(0x10), ["c", None, -1]),
        Described(ULong(0x10), ["c", None, True]),
        Described(ULong(0x11), [None, 1, 2]),
        Described(ULong(0x13), [None, None, 1, 1]),
        Described(ULong(0x14), [None]),
        Described(ULong(0x17), [None, None]),
        Described(ULong(0x99), []),
        Described(ULong(0x41), [Symbol("PLAIN")]),
        Described("amqp:nothing:list", []),
        Described(None, []),
        Described(ULong(0x10), "text"),
        [1, 2],
    ],
)
def test_wrong_fields_are_a_decode_error(body: Any) -> None:
    with pytest.raises(DecodeError):
        decode_performative(encode(body))


@given(st.binary(max_size=100))
def test_a_nonsense_body_is_a_decode_error_and_nothing_else(body: bytes) -> None:
    for data in (body, b"\x00\x53\x14" + body, b"\x00\x53\x12" + body):
        with contextlib.suppress(DecodeError):
            decode_performative(data)


@given(st.binary(max_size=64))
def test_a_nonsense_stream_is_a_framing_error_and_nothing_else(data: bytes) -> None:
    buffer = FrameBuffer()
    buffer.feed(data)
    try:
        while buffer.take_frame(512) is not None:
            pass
    except FramingError:
        pass


def test_a_rejected_outcome_carries_all_three_fields_of_its_error() -> None:
    outcome = decode(encode(rejected(LinkFault("a:b", "why"))))[0]
    assert outcome.descriptor == 0x25
    assert outcome.value[0].value == ["a:b", "why", None]
