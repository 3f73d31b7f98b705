"""The broker frame by frame: what it sends, and how it handles clients that break the rules."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from local.eventhubs import EventHubs, Limits
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.performatives import Begin, Close, Detach, End, Flow, Transfer
from local.eventhubs.amqp.values import Described, Symbol, ULong

pytestmark = pytest.mark.asyncio(loop_scope="session")

SETTLED = 1


def data(body: bytes) -> bytes:
    return encode(Described(ULong(0x75), body))


def reading(hub: str, partition: int = 0) -> str:
    return f"{hub}/ConsumerGroups/$Default/Partitions/{partition}"


async def publish(wire: Any, hub: str, bodies: list[bytes], handle: int = 1) -> None:
    """Attach a sender to partition 0 of ``hub``, send, and wait until all is accepted."""
    wire.attach(f"sender{handle}", handle, f"{hub}/Partitions/0", receive=False)
    await wire.until(0x13)
    accepted = 0
    for number, body in enumerate(bodies):
        pieces = [body[start : start + 60_000] for start in range(0, len(body), 60_000)]
        for index, piece in enumerate(pieces):
            more = index < len(pieces) - 1
            wire.send(Transfer(handle, number + 1, b"t", 0, more=more), piece)
    while accepted < len(bodies):
        frame = await wire.until(0x15)
        assert frame.fields[4].descriptor == 0x24
        accepted += frame.fields[2] - frame.fields[1] + 1


async def test_every_performative_is_sent_at_full_width_with_numbers_of_its_own(
    hubs: Any, connect: Any
) -> None:
    wire = await connect(hubs.port)
    # The open says what the service says
    opened = await wire.open()
    assert (opened.code, len(opened.fields)) == (0x10, 10)
    assert opened.fields[2:5] == [65_536, 4_999, 120_000]
    # Channels and handles count in order of arrival, whatever the client's are
    begun = await wire.begin(channel=7)
    assert (begun.channel, begun.code, len(begun.fields)) == (0, 0x11, 8)
    assert begun.fields[:5] == [7, 1, 5_000, 65_536, 255]
    assert (await wire.authorize(hubs.name, channel=7))["status-code"] == 202
    wire.attach("out", 33, hubs.name, receive=False, channel=7)
    attached = await wire.receive()
    assert (attached.code, len(attached.fields)) == (0x12, 14)
    assert (attached.fields[1], attached.fields[10]) == (2, 1_048_576)
    granted = await wire.receive()
    assert (granted.code, len(granted.fields), granted.fields[6]) == (0x13, 11, 300)
    wire.send(Transfer(33, 1, b"t", 0), data(b"hello"), channel=7)
    settled = await wire.receive()
    assert (settled.code, len(settled.fields)) == (0x15, 6)
    assert settled.fields[:4] == [True, 1, 1, True]
    # A reader's attach is answered as settled, with its timeout and epoch
    wire.attach(
        "in",
        34,
        reading(hubs.name),
        receive=True,
        channel=7,
        properties={Symbol("com.microsoft:timeout"): 60_000, Symbol("com.microsoft:epoch"): 3},
    )
    attached = await wire.receive()
    assert (attached.code, attached.fields[3], attached.fields[9]) == (0x12, SETTLED, 0)
    assert attached.fields[13] == {"com.microsoft:timeout": 60_000, "com.microsoft:epoch": 3}
    wire.send(Flow(1, 5000, 2, 5000, 34, 0, 10), channel=7)
    transfer = await wire.receive()
    assert (transfer.code, len(transfer.fields)) == (0x14, 11)
    assert (transfer.fields[4], transfer.fields[10]) == (True, True)
    wire.send(Detach(34, closed=True), channel=7)
    detached = await wire.receive()
    assert (detached.code, detached.fields) == (0x16, [3, True, None])
    wire.send(End(), channel=7)
    assert (await wire.receive()).fields == [None]
    wire.send(Close())
    closed = await wire.receive()
    assert (closed.code, closed.fields) == (0x18, [None])
    assert await wire.closed()


async def test_the_credit_of_a_reader_is_never_exceeded(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    await wire.authorize(hubs.name)
    await publish(wire, hubs.name, [data(b"%d" % number) for number in range(30)])
    wire.attach("in", 2, reading(hubs.name), receive=True)
    await wire.until(0x12)
    seen = 0
    for credit in (1, 3, 7):
        # When a reader grants credit and asks for an echo, its answer comes after the events
        wire.send(Flow(1 + seen + 1, 5000, 1, 5000, 2, seen, credit))
        for _ in range(credit):
            assert (await wire.receive()).code == 0x14
        seen += credit
        wire.send(Flow(1 + seen + 1, 5000, 1, 5000, 2, seen, 0, echo=True))
        # Then nothing else came in between
        echo = await wire.receive()
        assert (echo.code, echo.fields[5], echo.fields[6]) == (0x13, seen, 0)
    # And a drain uses up what there are no events for
    wire.send(Flow(1 + seen + 1, 5000, 1, 5000, 2, seen, 100, drain=True))
    for _ in range(30 - seen):
        assert (await wire.receive()).code == 0x14
    drained = await wire.receive()
    assert (drained.code, drained.fields[5], drained.fields[6]) == (0x13, seen + 100, 0)


async def test_a_session_window_is_respected_in_the_middle_of_a_message(
    hubs: Any, connect: Any
) -> None:
    # Given a client with small frames and room for four of them
    wire = await connect(hubs.port)
    await wire.open(max_frame_size=1024)
    await wire.begin(window=4)
    await wire.authorize(hubs.name)
    wire.send(Flow(2, 4, 1, 5000))
    await publish(wire, hubs.name, [data(bytes(5_000))])
    wire.attach("in", 2, reading(hubs.name), receive=True)
    await wire.until(0x12)
    # When a message of six frames is due
    wire.send(Flow(2, 4, 1, 5000, 2, 0, 10))
    first = [await wire.receive() for _ in range(4)]
    wire.send(Flow(2, 4, 1, 5000, echo=True))
    assert (await wire.receive()).code == 0x13
    # Then the rest comes when there is room again
    wire.send(Flow(6, 4, 1, 5000))
    rest = [await wire.receive() for _ in range(2)]
    assert [frame.fields[5] for frame in first + rest] == [True] * 5 + [False]
    assert len(b"".join(frame.payload for frame in first + rest)) > 5_000


async def test_a_reader_that_does_not_read_does_not_grow_the_broker(
    tmp_path: Path, connect: Any
) -> None:
    limits = Limits()
    async with EventHubs(tmp_path, hubs={"frames": 1}, limits=limits) as server:
        wire = await connect(server.port)
        await wire.open(max_frame_size=1_048_576)
        await wire.begin()
        await wire.authorize("frames")
        await publish(wire, "frames", [data(bytes(900_000))] * 20)
        # Given a reader with credit for everything, who reads nothing
        slow = await connect(server.port)
        await slow.open(max_frame_size=1_048_576)
        await slow.begin()
        await slow.authorize("frames")
        slow.writer.transport.pause_reading()
        slow.attach("in", 2, reading("frames"), receive=True)
        slow.send(Flow(2, 5000, 1, 5000, 2, 0, 1000))
        # When another one has read it all
        await sdk_like_read(wire, "frames", 20)
        # Then what waits for the slow one is a message beyond the high-water mark at most
        waiting = [connection.unsent_bytes for connection in server._connections]
        assert max(waiting) <= limits.send_buffer_bytes + limits.max_message_size + 1024
        # And it gets all of it in the end
        slow.writer.transport.resume_reading()
        for _ in range(20):
            await slow.until(0x14)


async def sdk_like_read(wire: Any, hub: str, count: int) -> None:
    wire.attach("in", 2, reading(hub), receive=True)
    wire.send(Flow(2, 5000, 400, 5000, 2, 0, 1000))
    for _ in range(count):
        await wire.until(0x14)


@pytest.mark.parametrize(
    ("frame", "condition"),
    [
        (struct.pack(">IBBH", 70_000, 2, 0, 0), "amqp:connection:framing-error"),
        (struct.pack(">IBBH", 4, 2, 0, 0), "amqp:connection:framing-error"),
        (struct.pack(">IBBH", 9, 3, 0, 0) + b"x", "amqp:connection:framing-error"),
        (struct.pack(">IBBH", 9, 2, 1, 0) + b"x", "amqp:connection:framing-error"),
        (struct.pack(">IBBH", 12, 2, 0, 0) + b"\x00\x53\x14\xff", "amqp:decode-error"),
        (struct.pack(">IBBH", 12, 2, 0, 0) + b"\x00\x53\x14\x45", "amqp:decode-error"),
        (struct.pack(">IBBH", 12, 2, 0, 0) + b"\x00\x53\x99\x45", "amqp:decode-error"),
        (struct.pack(">IBBH", 12, 2, 0, 9) + b"\x00\x53\x17\x45", "amqp:not-allowed"),
    ],
)
async def test_a_broken_frame_closes_its_connection_with_the_error_and_no_other(
    hubs: Any, connect: Any, frame: bytes, condition: str
) -> None:
    healthy = await connect(hubs.port)
    await healthy.open()
    broken = await connect(hubs.port)
    await broken.open()
    broken.writer.write(frame)
    closed = await broken.receive()
    assert closed.code == 0x18
    assert closed.fields[0].value[0] == condition
    broken.send(Close())
    broken.writer.write_eof()
    assert await broken.closed()
    assert (await healthy.begin()).code == 0x11


async def test_a_malformed_message_is_rejected_and_its_link_stays_open(
    hubs: Any, connect: Any
) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    await wire.authorize(hubs.name)
    await publish(wire, hubs.name, [data(b"good")])
    bad_annotations = b"\x00\x53\x71\xc1\x02\x02\xff" + data(b"x")
    for number, (message_format, payload) in enumerate(
        [
            (0, b"garbage"),
            (0, bad_annotations),
            (0x80013700, data(b"not a message")),
            (77, data(b"x")),
        ]
    ):
        wire.send(Transfer(1, number + 2, b"t", message_format), payload)
        rejected = await wire.receive()
        assert rejected.fields[4].descriptor == 0x25
    wire.send(Transfer(1, 9, b"t", 0), data(b"good"))
    assert (await wire.receive()).fields[4].descriptor == 0x24


async def test_more_transfers_than_credit_detach_the_link(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    wire.attach("in", 1, "$cbs", receive=True)
    wire.attach("out", 2, "$cbs", receive=False)
    # A request link without a reader that takes its replies keeps only so many
    message = encode(Described(ULong(0x74), {"operation": "x"}))
    for number in range(150):
        wire.send(Transfer(2, number + 1, b"t", 0, settled=True), message)
    detached = await wire.until(0x16)
    assert detached.fields[2].value[0] == "amqp:resource-limit-exceeded"


async def test_random_bytes_never_harm_the_broker(hubs: Any, connect: Any) -> None:
    chance = random.Random(20)

    async def harm(number: int) -> None:
        wire = await connect(hubs.port)
        if number % 2:
            await wire.open()
            await wire.begin()
        for _ in range(5):
            body = chance.randbytes(chance.randrange(60))
            code = chance.choice([0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17])
            head = bytes((0, 0x53, code, 0xC0, len(body) + 1, chance.randrange(12)))
            frame = struct.pack(">IBBH", 8 + len(head + body), 2, 0, chance.randrange(2))
            wire.writer.write(chance.choice([frame + head + body, body, frame]))
        with contextlib.suppress(ConnectionError):
            wire.writer.write_eof()
        assert await wire.closed()

    for start in range(0, 60, 20):
        await asyncio.gather(*(harm(number) for number in range(start, start + 20)))
    healthy = await connect(hubs.port)
    assert (await healthy.open()).code == 0x10


async def test_a_silent_client_is_asked_for_a_sign_of_life_and_then_dropped(
    tmp_path: Path, connect: Any
) -> None:
    limits = Limits(idle_probe_s=0.2, idle_close_s=0.5, closing_s=0.2)
    async with EventHubs(tmp_path, hubs={"frames": 1}, limits=limits) as server:
        wire = await connect(server.port)
        await wire.open()
        # At once, so that it is not silent in between
        wire.send(Begin(None, 0, 5000, 5000))
        wire.attach("in", 1, "$cbs", receive=True)
        await wire.until(0x12)
        probe = await wire.receive()
        assert (probe.code, probe.fields[4], probe.fields[9]) == (0x13, None, True)
        # What the service does: detach, end and close, each with the reason
        for code, place in ((0x16, 2), (0x17, 0), (0x18, 0)):
            frame = await wire.receive()
            assert frame.code == code
            assert frame.fields[place].value[0] == "amqp:connection:forced"
        assert await wire.closed()
    # And one that never says a word is not kept either
    limits = Limits(handshake_s=0.2)
    async with EventHubs(tmp_path, hubs={"frames": 1}, limits=limits) as server:
        mute = await connect(server.port)
        assert await mute.closed()


async def test_a_client_gets_the_heartbeats_that_it_asks_for(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open(idle_time_out=1000)
    for _ in range(2):
        async with asyncio.timeout(60):
            assert await wire.reader.readexactly(8) == b"\x00\x00\x00\x08\x02\x00\x00\x00"


async def test_an_expired_token_detaches_its_links(hubs: Any, connect: Any) -> None:
    wire = await connect(hubs.port)
    await wire.open()
    await wire.begin()
    reply = await wire.authorize(hubs.name, expires_s=int(time.time()) + 2)
    assert reply["status-code"] == 202
    wire.attach("in", 2, reading(hubs.name), receive=True)
    await wire.until(0x12)
    detached = await wire.until(0x16)
    assert detached.fields[2].value[0] == "amqp:unauthorized-access"


async def test_a_waiting_reader_is_told_that_an_event_cannot_be_sent(
    tmp_path: Path, connect: Any
) -> None:
    async with EventHubs(tmp_path, hubs={"frames": 1}) as server:
        wire = await connect(server.port)
        await wire.open()
        await wire.begin()
        await wire.authorize("frames")
        wire.attach("in", 2, reading("frames"), receive=True)
        wire.send(Flow(1, 5000, 10, 5000, 2, 0, 100))
        await publish(wire, "frames", [data(b"good")])
        # One that an earlier release has stored
        unreadable = b"\x00\x53\x72\xc1\x02\x02\xff" + data(b"bad")
        assert server._broker
        partition = server._broker.hub("frames").partition("0")
        partition.publish([unreadable], None, lambda _: None)
        detached = await wire.until(0x16)
        assert detached.fields[2].value[0] == "amqp:internal-error"
