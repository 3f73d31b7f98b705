"""An AMQP client that sends and receives single frames."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from typing import Any

from azure.eventhub._pyamqp.utils import generate_sas_token

from local.eventhubs.amqp.decoder import decode
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.frames import AMQP_HEADER, SASL_FRAME, SASL_HEADER, encode_frame
from local.eventhubs.amqp.message import parse_request
from local.eventhubs.amqp.performatives import Attach, Begin, Flow, Open, SaslInit, Transfer
from local.eventhubs.amqp.values import Described, ULong

DEADLINE_S = 30.0


@dataclass(frozen=True)
class WireFrame:
    """A frame as the broker sent it: its performative's code, and every field that was there."""

    channel: int
    code: int
    fields: list[Any]
    payload: bytes


class Wire:
    """A client that speaks in single frames, for what the SDK does not show or do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def open(self, **fields: Any) -> WireFrame:
        """Shake hands; return the broker's open."""
        self.writer.write(SASL_HEADER)
        assert await self.reader.readexactly(8) == SASL_HEADER
        await self.receive()
        self.writer.write(encode_frame(0, SaslInit("ANONYMOUS", b""), kind=SASL_FRAME))
        outcome = await self.receive()
        assert (outcome.code, outcome.fields[0]) == (0x44, 0)
        self.writer.write(AMQP_HEADER)
        assert await self.reader.readexactly(8) == AMQP_HEADER
        self.send(Open("wire", **fields))
        return await self.receive()

    async def begin(self, channel: int = 0, window: int = 5000) -> WireFrame:
        """Begin a session; return the broker's begin."""
        self.send(Begin(None, 0, window, window), channel=channel)
        return await self.receive()

    def attach(self, name: str, handle: int, address: str, *, receive: bool, **more: Any) -> None:
        """Attach a link to ``address``."""
        channel = more.pop("channel", 0)
        selector = more.pop("selector", None)
        filters = {"apache.org:selector-filter:string": selector} if selector else None
        near, far = [name], [address]
        source, target = (far, near) if receive else (near, far)
        if filters:
            source += [None] * 6 + [filters]
        self.send(
            Attach(
                name,
                handle,
                receive,
                source=Described(ULong(0x28), source),
                target=Described(ULong(0x29), target),
                initial_delivery_count=None if receive else 0,
                **more,
            ),
            channel=channel,
        )

    async def authorize(
        self,
        hub: str,
        key: str = "SAS_KEY_VALUE",
        channel: int = 0,
        expires_s: int = 9_999_999_999,
    ) -> Any:
        """Put a token for ``hub``; return the application properties of the reply."""
        policy = "RootManageSharedAccessKey"
        token = generate_sas_token(f"sb://localhost/{hub}", policy, key, expires_s)
        self.attach("cbs-in", 100, "$cbs", receive=True, channel=channel)
        self.attach("cbs-out", 101, "$cbs", receive=False, channel=channel)
        self.send(Flow(0, 5000, 0, 5000, 100, 0, 10), channel=channel)
        message = encode(Described(ULong(0x73), ["id"]))
        properties = {
            "operation": "put-token",
            "type": "servicebus.windows.net:sastoken",
            "name": f"sb://localhost/{hub}",
        }
        message += encode(Described(ULong(0x74), properties))
        message += encode(Described(ULong(0x77), token))
        self.send(Transfer(101, 0, b"0", 0), message, channel=channel)
        await self.until(0x15)
        reply = await self.until(0x14)
        assert parse_request(reply.payload).body is None
        return parse_request(reply.payload).properties

    def send(self, performative: Any, payload: bytes = b"", channel: int = 0) -> None:
        self.writer.write(encode_frame(channel, performative, payload))

    async def receive(self) -> WireFrame:
        """Return the next frame that is not empty."""
        while True:
            async with asyncio.timeout(DEADLINE_S):
                head = await self.reader.readexactly(8)
                size, _, _, channel = struct.unpack(">IBBH", head)
                body = await self.reader.readexactly(size - 8)
            if body:
                described, end = decode(body)
                return WireFrame(channel, described.descriptor, described.value, body[end:])

    async def until(self, code: int) -> WireFrame:
        """Return the next frame of a kind."""
        while (frame := await self.receive()).code != code:
            pass
        return frame

    async def closed(self) -> bool:
        """Whether the broker hangs up, after what it still had to say."""
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(ConnectionError):
                await self.reader.read()
        return self.reader.at_eof() or self.reader.exception() is not None
