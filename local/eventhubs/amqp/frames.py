"""Frames, and the protocol headers before them (part 2: transport, sections 2.2 and 2.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from local.eventhubs.amqp.errors import FramingError
from local.eventhubs.amqp.performatives import Performative, encode_performative

HEADER_SIZE: Final = 8
AMQP_HEADER: Final = b"AMQP\x00\x01\x00\x00"
SASL_HEADER: Final = b"AMQP\x03\x01\x00\x00"

AMQP_FRAME: Final = 0
SASL_FRAME: Final = 1
EMPTY_FRAME: Final = b"\x00\x00\x00\x08\x02\x00\x00\x00"

_HEADER: Final = struct.Struct(">IBBH")
# The data offset counts in words of four bytes, and the smallest header has two.
_MIN_DATA_OFFSET: Final = 2


def encode_frame(
    channel: int, performative: Performative, payload: bytes = b"", *, kind: int = AMQP_FRAME
) -> bytes:
    """Return one complete frame (section 2.3)."""
    body = encode_performative(performative)
    size = _HEADER.size + len(body) + len(payload)
    return _HEADER.pack(size, 2, kind, channel) + body + payload


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its type, its channel, and its body without the extended header."""

    kind: int
    channel: int
    body: bytes


class FrameBuffer:
    """Bytes that arrived and were not consumed yet.

    It holds at most one incomplete frame besides what one read brought, because a frame
    that announces more than ``max_size`` is refused by its first 8 bytes.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._start = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def feed(self, data: bytes) -> None:
        """Add bytes from the network."""
        if self._start:
            del self._data[: self._start]
            self._start = 0
        self._data += data

    def take_header(self) -> bytes | None:
        """Return the next 8 bytes as a protocol header, or None if they are not there yet."""
        if len(self) < HEADER_SIZE:
            return None
        header = bytes(self._data[self._start : self._start + HEADER_SIZE])
        self._start += HEADER_SIZE
        return header

    def take_frame(self, max_size: int) -> Frame | None:
        """Return the next frame, or None if it is incomplete; ``FramingError`` if invalid."""
        if len(self) < HEADER_SIZE:
            return None
        size, offset, kind, channel = _HEADER.unpack_from(self._data, self._start)
        if size < HEADER_SIZE or size > max_size:
            message = f"a frame of {size} bytes is outside 8 to {max_size}"
            raise FramingError(message)
        if offset < _MIN_DATA_OFFSET or offset * 4 > size:
            message = f"a data offset of {offset} words does not fit a frame of {size} bytes"
            raise FramingError(message)
        if len(self) < size:
            return None
        body = bytes(self._data[self._start + offset * 4 : self._start + size])
        self._start += size
        return Frame(kind, channel, body)
