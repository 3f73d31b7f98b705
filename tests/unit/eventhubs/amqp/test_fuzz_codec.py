"""Damaged bytes against the broker's parts, without a socket: refused by name, at no cost."""

from __future__ import annotations

import random
import tracemalloc

from fuzzing import every_input, mutate
from unit.eventhubs.conversations import conversation, spoil

from local.eventhubs.amqp.decoder import decode, skip
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.engine import Engine, State
from local.eventhubs.amqp.errors import DecodeError, FramingError
from local.eventhubs.amqp.frames import FrameBuffer
from local.eventhubs.amqp.limits import ConnectionLimits
from local.eventhubs.amqp.links import IncomingLink, LinkAttaching, OutgoingLink
from local.eventhubs.amqp.message import parse_request
from local.eventhubs.amqp.values import Array, Described, Symbol, ULong
from local.eventhubs.eventdata import BATCH_FORMAT, split

MAX_FRAME = 65_536
# A value cannot be much larger in memory than on the wire; no input here is longer than 8 KiB.
MEMORY_BYTES = 8 * 2**20

VALUES = [
    encode(value)
    for value in (
        Described(ULong(0x10), ["id", None, True, {"a": [1, 2, {"b": b"c" * 300}]}]),
        {Symbol("key"): Array((Symbol("x"), Symbol("y"))), "n": -(2**40)},
        Array(tuple(ULong(n) for n in range(40))),
        ["text" * 100, 1.5, None, False, [[[[[]]]]]],
    )
]
MESSAGES = [frame for frame in conversation() if len(frame) > 60]


def test_a_spoilt_value_is_read_or_refused_within_bounds() -> None:
    inputs = every_input(lambda chance: mutate(chance.choice(VALUES), chance, VALUES), seed=3)
    refused = 0
    tracemalloc.start()
    try:
        for data in inputs:
            for read in (decode, skip):
                try:
                    read(data, 0)
                except DecodeError:
                    refused += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused > len(VALUES)
    assert peak < MEMORY_BYTES


def test_a_spoilt_message_is_split_or_refused() -> None:
    bodies = [frame[8:] for frame in MESSAGES]
    for data in every_input(lambda chance: mutate(chance.choice(bodies), chance, bodies), seed=4):
        for message_format in (0, BATCH_FORMAT):
            try:
                events, _ = split(data, message_format)
            except DecodeError:
                continue
            assert sum(map(len, events)) <= len(data)
        try:
            parse_request(data)
        except DecodeError:
            continue


def test_spoilt_frames_never_hold_more_than_one_frame_back() -> None:
    frames = conversation()[3:]
    for data in every_input(lambda chance: mutate(b"".join(frames), chance, frames), seed=5):
        buffer = FrameBuffer()
        buffer.feed(data)
        try:
            while buffer.take_frame(MAX_FRAME) is not None:
                pass
        except FramingError:
            continue
        assert len(buffer) <= MAX_FRAME


def converse(data: bytes, chance: random.Random) -> Engine:
    """Let an engine hear a conversation in pieces; accept whatever link it asks for."""
    engine = Engine(container_id="t", limits=ConnectionLimits(), check_plain=lambda *_: False)
    place = 0
    while place < len(data):
        piece = data[place : place + chance.choice((50, 500, 5000, 5000))]
        place += len(piece)
        for event in engine.receive(piece):
            if isinstance(event, LinkAttaching):
                if isinstance(event.link, IncomingLink):
                    event.link.accept(credit=10, max_message_size=2**20, announced_size=2**20)
                elif isinstance(event.link, OutgoingLink):
                    event.link.accept(max_message_size=2**20)
        # Answers are short: nothing that a client says makes the broker talk without end.
        assert len(engine.take_output()) < 2 * MAX_FRAME
    return engine


def test_a_spoilt_conversation_never_raises_out_of_the_engine() -> None:
    frames = conversation()
    chance = random.Random(6)
    closed = 0
    for data in every_input(lambda chance: spoil(frames, chance), seed=7):
        engine = converse(data, chance)
        closed += engine.state in (State.CLOSING, State.CLOSED)
    assert closed > 0


def test_the_conversation_that_is_spoilt_is_a_good_one() -> None:
    engine = converse(b"".join(conversation()[:-1]), random.Random(1))
    assert engine.state is State.OPENED
