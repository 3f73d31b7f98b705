"""The engine without a socket: bytes in, events and bytes out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.eventhubs.amqp.decoder import decode
from local.eventhubs.amqp.engine import ConnectionEnded, Engine, Opened, State
from local.eventhubs.amqp.frames import (
    AMQP_HEADER,
    SASL_FRAME,
    SASL_HEADER,
    FrameBuffer,
    encode_frame,
)
from local.eventhubs.amqp.limits import ConnectionLimits
from local.eventhubs.amqp.links import (
    CreditChanged,
    IncomingLink,
    LinkAttaching,
    LinkDetached,
    MessageArrived,
    OutgoingLink,
)
from local.eventhubs.amqp.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    End,
    Flow,
    Open,
    SaslInit,
    Transfer,
)
from local.eventhubs.amqp.session import SessionEnded
from local.eventhubs.amqp.values import Described, ULong

TERMINI = {
    "source": Described(ULong(0x28), ["here"]),
    "target": Described(ULong(0x29), ["there"]),
}


def new_engine(**limits: Any) -> Engine:
    return Engine(
        container_id="test",
        limits=ConnectionLimits(**limits),
        check_plain=lambda name, key: (name, key) == ("me", "secret"),
    )


def feed(engine: Engine, data: bytes) -> list[Any]:
    """Feed bytes, accepting every link; return what happened."""
    events = []
    for event in engine.receive(data):
        events.append(event)
        if isinstance(event, LinkAttaching):
            if isinstance(event.link, IncomingLink):
                event.link.accept(credit=2, max_message_size=100, announced_size=100)
            elif isinstance(event.link, OutgoingLink):
                event.link.accept(max_message_size=100)
    return events


def bodies(output: bytes) -> Iterator[bytes]:
    """Yield what is in each frame."""
    buffer = FrameBuffer()
    buffer.feed(output)
    while frame := buffer.take_frame(1 << 20):
        yield frame.body


def codes(output: bytes) -> list[tuple[int, Any]]:
    """Return the code and the error condition, if any, of each frame."""
    found = []
    for body in bodies(output):
        described, _ = decode(body)
        error = described.value[-1]
        condition = error.value[0] if isinstance(error, Described) else None
        found.append((described.descriptor, condition))
    return found


CONVERSATION = b"".join(
    (
        SASL_HEADER,
        encode_frame(0, SaslInit("ANONYMOUS"), kind=SASL_FRAME),
        AMQP_HEADER,
        encode_frame(0, Open("client")),
        encode_frame(3, Begin(None, 0, 100, 100)),
        encode_frame(3, Attach("in", 0, False, initial_delivery_count=0, **TERMINI)),
        encode_frame(3, Attach("out", 1, True, **TERMINI)),
        encode_frame(3, Transfer(0, 0, b"t", 0, more=True), b"one "),
        encode_frame(3, Transfer(0, None, None, None), b"message"),
        encode_frame(3, Flow(1, 100, 2, 100, 1, 0, 5)),
        encode_frame(3, Detach(1, closed=True)),
        encode_frame(3, End()),
        encode_frame(3, Detach(0, closed=True)),
        encode_frame(0, Close()),
    )
)
HAPPENED = [
    *(Opened, LinkAttaching, LinkAttaching, MessageArrived),
    *(CreditChanged, LinkDetached, SessionEnded, ConnectionEnded),
]


@given(st.lists(st.integers(1, len(CONVERSATION) - 1), max_size=30))
@settings(max_examples=30)
def test_a_conversation_is_the_same_however_its_bytes_arrive(cuts: list[int]) -> None:
    engine = new_engine()
    places = [0, *sorted(set(cuts)), len(CONVERSATION)]
    events = []
    output = b""
    for start, end in itertools.pairwise(places):
        events += feed(engine, CONVERSATION[start:end])
        output += engine.take_output()
    assert [type(event) for event in events] == HAPPENED
    assert events[3].delivery.payload == b"one message"
    assert engine.state is State.CLOSED
    whole = new_engine()
    feed(whole, CONVERSATION)
    assert output == whole.take_output()


@pytest.mark.parametrize("header", [b"AMQP\x02\x01\x00\x00", b"GET / HT", b"AMQP\x00\x00\x09\x01"])
def test_other_protocols_are_answered_with_ours_and_disconnected(header: bytes) -> None:
    engine = new_engine()
    (event,) = feed(engine, header)
    assert isinstance(event, ConnectionEnded)
    assert engine.take_output() == SASL_HEADER
    assert engine.state is State.CLOSED


def test_the_mechanisms_are_those_of_the_service_and_plain_checks_the_key() -> None:
    for response, lets_in in ((b"\0me\0secret", True), (b"\0me\0wrong", False), (b"me", False)):
        engine = new_engine()
        feed(engine, SASL_HEADER)
        offer = engine.take_output()[8:]
        for name in (b"MSSBCBS", b"PLAIN", b"ANONYMOUS", b"EXTERNAL"):
            assert name in offer
        events = feed(engine, encode_frame(0, SaslInit("PLAIN", response), kind=SASL_FRAME))
        assert (events == []) is lets_in
        assert engine.plain_authenticated is lets_in
    engine = new_engine()
    feed(engine, SASL_HEADER + encode_frame(0, SaslInit("KERBEROS"), kind=SASL_FRAME))
    assert engine.state is State.CLOSED


def opened(**limits: Any) -> Engine:
    engine = new_engine(**limits)
    feed(engine, AMQP_HEADER + encode_frame(0, Open("client")))
    feed(engine, encode_frame(0, Begin(None, 0, 100, 100)))
    feed(engine, encode_frame(0, Attach("in", 0, False, initial_delivery_count=0, **TERMINI)))
    engine.take_output()
    return engine


@pytest.mark.parametrize(
    ("frames", "answer"),
    [
        ([encode_frame(0, Open("again"))], (0x18, "amqp:not-allowed")),
        ([encode_frame(0, Begin(None, 0, 1, 1))], (0x18, "amqp:not-allowed")),
        ([encode_frame(9, Flow(0, 1, 0, 1))], (0x18, "amqp:not-allowed")),
        ([encode_frame(0, Detach(7))], (0x17, "amqp:session:unattached-handle")),
        ([encode_frame(0, Attach("x", 0, True))], (0x17, "amqp:session:handle-in-use")),
        ([encode_frame(0, Attach("x", 999, True))], (0x18, "amqp:connection:framing-error")),
        ([encode_frame(0, Attach("x", 1, True, 3))], (0x16, "amqp:invalid-field")),
        ([encode_frame(0, Transfer(0, None, b"t"))], (0x16, "amqp:invalid-field")),
        (
            # Whoever has settled it already looks for no answer about it
            [encode_frame(0, Transfer(0, 0, b"t", settled=True), b"x" * 101)],
            (0x16, "amqp:link:message-size-exceeded"),
        ),
        (
            [
                encode_frame(0, Transfer(0, 0, b"t", more=True), b"x"),
                encode_frame(0, Transfer(0, 1, b"t"), b"x"),
            ],
            (0x16, "amqp:invalid-field"),
        ),
    ],
)
def test_each_fault_reaches_as_far_as_it_must(frames: list[bytes], answer: tuple[int, str]) -> None:
    engine = opened()
    feed(engine, b"".join(frames))
    assert answer in codes(engine.take_output())


def test_an_aborted_message_is_dropped_and_the_next_one_counts() -> None:
    engine = opened()
    events = feed(
        engine,
        encode_frame(0, Transfer(0, 0, b"t", more=True), b"drop")
        + encode_frame(0, Transfer(0, None, aborted=True))
        + encode_frame(0, Transfer(0, 1, b"t"), b"keep"),
    )
    assert [event.delivery.payload for event in events] == [b"keep"]


def test_an_oversized_message_is_rejected_once_complete_and_its_link_stays_open() -> None:
    engine = opened()
    pieces = [encode_frame(0, Transfer(0, 7, b"t", more=True), b"x" * 60)] * 3
    assert feed(engine, b"".join(pieces)) == []
    assert codes(engine.take_output()) == []
    assert feed(engine, encode_frame(0, Transfer(0, None), b"x")) == []
    frames = [decode(body)[0] for body in bodies(engine.take_output())]
    ((role, first, last, settled, state, *_),) = [f.value for f in frames if f.descriptor == 0x15]
    assert (role, first, last, settled) == (True, 7, 7, True)
    assert state.value[0].value[0] == "amqp:link:message-size-exceeded"
    assert "size:181 bytes" in state.value[0].value[1]
    (event,) = feed(engine, encode_frame(0, Transfer(0, 8, b"t"), b"x"))
    assert event.delivery.payload == b"x"


def test_credit_is_topped_up_before_it_ends() -> None:
    engine = opened()
    for number in range(10):
        (event,) = feed(engine, encode_frame(0, Transfer(0, number, b"t"), b"x"))
        assert isinstance(event, MessageArrived)
    assert (0x13, None) in codes(engine.take_output())


def test_a_detached_link_ignores_transfers_until_the_client_answers() -> None:
    engine = opened()
    feed(engine, encode_frame(0, Transfer(0, 0, b"t", settled=True), b"x" * 101))
    assert feed(engine, encode_frame(0, Transfer(0, 1, b"t"), b"x")) == []
    feed(engine, encode_frame(0, Detach(0, closed=True)))
    (event,) = feed(engine, encode_frame(0, Attach("new", 0, False, **TERMINI)))
    assert isinstance(event, LinkAttaching)


@pytest.mark.parametrize("limit", ["max_sessions", "max_partial_bytes"])
def test_no_client_may_take_more_than_its_share(limit: str) -> None:
    engine = opened(**{limit: 1})
    piece = encode_frame(0, Transfer(0, 0, b"t", more=True), b"xx")
    more = {
        "max_sessions": encode_frame(1, Begin(None, 0, 1, 1)),
        "max_partial_bytes": piece,
    }[limit]
    feed(engine, more)
    assert (0x18, "amqp:resource-limit-exceeded") in codes(engine.take_output())


def test_a_link_too_many_is_refused_and_the_others_stay_open() -> None:
    engine = opened(max_links=1)
    assert feed(engine, encode_frame(0, Attach("x", 1, True, **TERMINI))) == []
    answer = codes(engine.take_output())
    assert (0x16, "amqp:resource-limit-exceeded") in answer
    assert 0x18 not in dict(answer)
    (event,) = feed(engine, encode_frame(0, Transfer(0, 0, b"t"), b"x"))
    assert isinstance(event, MessageArrived)
    # Refused ones that are not detached count, and a client that goes on and on is cut off
    feed(engine, encode_frame(0, Attach("y", 2, True, **TERMINI)))
    assert (0x18, "amqp:resource-limit-exceeded") in codes(engine.take_output())


@given(st.data())
@settings(max_examples=150)
def test_no_bytes_make_the_engine_raise(data: st.DataObject) -> None:
    engine = new_engine()
    damaged = bytearray(CONVERSATION)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))
    feed(engine, bytes(damaged))
    feed(engine, data.draw(st.binary(max_size=40)))
    assert len(engine.take_output()) < 10_000
