"""Messages by their sections: split on the way in, annotated on the way out, bodies untouched."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from azure.eventhub._pyamqp._decode import decode_payload
from hypothesis import given, settings
from hypothesis import strategies as st

from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.errors import DecodeError
from local.eventhubs.amqp.message import Request, build_reply, parse_request, scan
from local.eventhubs.amqp.values import Described, Int, Symbol, ULong
from local.eventhubs.eventdata import BATCH_FORMAT, LastEnqueued, outgoing, split
from local.eventhubs.log.segment import Event

HEADER, DELIVERY, ANNOTATIONS, PROPERTIES, APPLICATION, DATA, SEQUENCE, VALUE, FOOTER = range(
    0x70, 0x79
)


def section(code: int, value: Any) -> bytes:
    return encode(Described(ULong(code), value))


def event(message: bytes, key: str | None = None) -> Event:
    return Event(5, 1234, 1300, 99, key, message)


def test_the_brokers_annotations_join_the_producers_and_replace_forged_ones() -> None:
    message = section(HEADER, [True])
    message += section(ANNOTATIONS, {Symbol("own"): 1, Symbol("x-opt-offset"): "forged"})
    body = section(PROPERTIES, ["id"]) + section(DATA, b"body") + section(FOOTER, {"f": 1})
    out = outgoing(event(message + body, "key"), None, 0)
    assert out.startswith(section(HEADER, [True]))
    assert out.endswith(body)
    assert decode_payload(memoryview(out)).message_annotations == {
        b"own": 1,
        b"x-opt-sequence-number-epoch": -1,
        b"x-opt-sequence-number": 5,
        b"x-opt-offset": b"1234",
        b"x-opt-enqueued-time": 99,
        b"x-opt-partition-key": b"key",
    }
    # The service writes the epoch before the number
    assert out.index(b"x-opt-sequence-number-epoch") < out.index(b"x-opt-sequence-number\x55")


def test_delivery_annotations_are_merged_from_wherever_they_stand() -> None:
    message = section(DATA, b"body") + section(DELIVERY, {Symbol("own"): 1})
    out = outgoing(event(message), LastEnqueued(9, "4321", 77), 88)
    assert decode_payload(memoryview(out)).delivery_annotations == {
        b"own": 1,
        b"last_enqueued_sequence_number": 9,
        b"last_enqueued_sequence_number_epoch": -1,
        b"last_enqueued_offset": b"4321",
        b"last_enqueued_time_utc": 77,
        b"runtime_info_retrieval_time_utc": 88,
    }


BODIES = st.one_of(
    st.lists(st.binary(max_size=300), min_size=1, max_size=3).map(
        lambda items: b"".join(section(DATA, item) for item in items)
    ),
    st.lists(st.lists(st.integers(-5, 5), max_size=3), max_size=3).map(
        lambda items: b"".join(section(SEQUENCE, item) for item in items)
    ),
    st.one_of(st.none(), st.text(max_size=9), st.booleans()).map(lambda v: section(VALUE, v)),
)
NOTES = st.dictionaries(
    st.from_regex(r"[a-z]{1,9}", fullmatch=True).map(Symbol), st.integers(-9, 2**40), max_size=40
)


@given(BODIES, NOTES, NOTES)
@settings(max_examples=50)
def test_bodies_pass_through_byte_for_byte(body: bytes, notes: Any, delivery: Any) -> None:
    message = section(ANNOTATIONS, notes) + body + section(DELIVERY, delivery)
    out = outgoing(event(message), None, 0)
    sections = [part for part in scan(out) if part.code in (DATA, SEQUENCE, VALUE)]
    assert b"".join(out[part.start : part.end] for part in sections) == body
    for name, value in notes.items():
        assert encode(name) + encode(value) in out


def test_a_batch_is_split_into_its_messages_and_keeps_its_key() -> None:
    inner = [section(DATA, b"a"), section(VALUE, 1) + section(DELIVERY, {}), b""]
    batch = section(ANNOTATIONS, {Symbol("x-opt-partition-key"): "key"})
    batch += b"".join(section(DATA, each) for each in inner)
    assert split(batch, BATCH_FORMAT) == (inner, "key")
    assert split(batch, 0) == ([batch], "key")
    assert split(section(DATA, b"x"), 0) == ([section(DATA, b"x")], None)
    assert split(b"", BATCH_FORMAT) == ([], None)


@pytest.mark.parametrize(
    "message",
    [
        b"\x00",
        b"garbage",
        encode(5),
        section(0x79, []),
        section(0x6F, []),
        encode(Described("amqp:nothing", [])),
        section(ANNOTATIONS, []),
        section(DATA, "text"),
        section(DATA, b"body")[:-1],
        section(ANNOTATIONS, {Symbol("a"): 1})[:-1],
        b"\x00\x53\x72\xc1\x03\x02\x40\x40\x40",
        b"\x00\x53\x72\xc1\x01\x09",
        # Delivery annotations: no type 0xff, and a list as a key
        b"\x00\x53\x71\xc1\x02\x02\xff",
        b"\x00\x53\x71\xc1\x03\x02\x45\x40",
        b"\x00\x53\x72\xc1\x03\x02\x45\x40",
    ],
)
def test_anything_but_a_message_is_a_decode_error(message: bytes) -> None:
    with pytest.raises(DecodeError):
        split(message, 0)
    with pytest.raises(DecodeError):
        split(section(DATA, message), BATCH_FORMAT)


@given(st.binary(max_size=80))
def test_nonsense_is_a_decode_error_and_nothing_else(data: bytes) -> None:
    starts = b"", b"\x00\x53\x71\xc1", b"\x00\x53\x72\xc1", b"\x00\x53\x75\xa0"
    for message in (start + data for start in starts):
        for message_format in (0, BATCH_FORMAT):
            try:
                events, _ = split(message, message_format)
            except DecodeError:
                continue
            for each in events:
                outgoing(event(each), None, 0)
        with contextlib.suppress(DecodeError):
            parse_request(message)


def test_symbolic_descriptors_are_understood() -> None:
    message = encode(Described(Symbol("amqp:data:binary"), b"x"))
    assert [part.code for part in scan(message)] == [DATA]


def test_a_reply_carries_the_requests_id_and_may_have_no_body() -> None:
    request = parse_request(
        section(PROPERTIES, ["id", None, None, None, "here"])
        + section(APPLICATION, {"operation": "READ"})
        + section(VALUE, "token")
    )
    assert request == Request("id", "here", {"operation": "READ"}, "token")
    reply = decode_payload(memoryview(build_reply(request, {"status-code": Int(202)})))
    assert reply.properties.correlation_id == b"id"
    assert reply.application_properties == {b"status-code": 202}
    assert (reply.value, reply.data) == (None, None)
