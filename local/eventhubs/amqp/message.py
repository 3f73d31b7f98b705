"""Read and build messages by their sections, without touching the bytes of bodies.

A message is a sequence of described sections (part 3: messaging, section 3.2). Sections
are accepted in any order, because azure-eventhub writes the delivery annotations last.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

from local.eventhubs.amqp.decoder import decode, skip
from local.eventhubs.amqp.encoder import encode_into
from local.eventhubs.amqp.errors import DecodeError
from local.eventhubs.amqp.values import Described, ULong

HEADER: Final = 0x70
DELIVERY_ANNOTATIONS: Final = 0x71
MESSAGE_ANNOTATIONS: Final = 0x72
PROPERTIES: Final = 0x73
APPLICATION_PROPERTIES: Final = 0x74
DATA: Final = 0x75
SEQUENCE: Final = 0x76
VALUE: Final = 0x77
FOOTER: Final = 0x78

_SYMBOLIC: Final = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE,
    "amqp:footer:map": FOOTER,
}
_LISTS: Final = frozenset((0x45, 0xC0, 0xD0))
_MAPS: Final = frozenset((0xC1, 0xD1))
_BINARIES: Final = frozenset((0xA0, 0xB0))
_FORMS: Final = {
    HEADER: _LISTS,
    DELIVERY_ANNOTATIONS: _MAPS,
    MESSAGE_ANNOTATIONS: _MAPS,
    PROPERTIES: _LISTS,
    APPLICATION_PROPERTIES: _MAPS,
    DATA: _BINARIES,
    SEQUENCE: _LISTS,
    FOOTER: _MAPS,
}


@dataclass(frozen=True, slots=True)
class Section:
    """The position of a section in its message, and of the value after its descriptor."""

    code: int
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Request:
    """A message to ``$cbs`` or ``$management``."""

    message_id: Any = None
    reply_to: str | None = None
    properties: dict[Any, Any] = field(default_factory=dict)
    body: Any = None


def scan(message: bytes) -> list[Section]:
    """Return the sections of a message; ``DecodeError`` if it is not a sequence of them."""
    sections = []
    position = 0
    while position < len(message):
        start = position
        if message[position] != 0x00:
            error = "a message section does not start with a descriptor"
            raise DecodeError(error)
        if message[position + 1 : position + 2] == b"\x53" and len(message) > position + 3:
            code: Any = message[position + 2]
            value = position + 3
        else:
            code, value = decode(message, position + 1)
            if isinstance(code, str):
                code = _SYMBOLIC.get(code)
        if not isinstance(code, int) or not HEADER <= code <= FOOTER or value >= len(message):
            error = f"there is no message section {code!r}"
            raise DecodeError(error)
        form = _FORMS.get(code)
        if form is not None and message[value] not in form:
            error = f"message section 0x{code:02x} has a wrong type"
            raise DecodeError(error)
        position = skip(message, value)
        sections.append(Section(code, start, value, position))
    return sections


def parse_request(payload: bytes) -> Request:
    """Return the parts of a request that ``$cbs`` and ``$management`` use."""
    message_id: Any = None
    reply_to: str | None = None
    application: dict[Any, Any] = {}
    body: Any = None
    for section in scan(payload):
        if section.code == PROPERTIES:
            values, _ = decode(payload, section.value)
            values += [None] * (5 - len(values))
            message_id = values[0]
            reply_to = values[4] if isinstance(values[4], str) else None
        elif section.code == APPLICATION_PROPERTIES:
            application, _ = decode(payload, section.value)
        elif section.code in (VALUE, DATA):
            body, _ = decode(payload, section.value)
    return Request(message_id, reply_to, application, body)


def build_reply(request: Request, properties: dict[str, Any], body: Any = None) -> bytes:
    """Return the answer to ``request``; without ``body`` it has no body section."""
    out = bytearray()
    fields = [None] * 5 + [request.message_id] + [None] * 7
    encode_into(out, Described(ULong(PROPERTIES), fields))
    encode_into(out, Described(ULong(APPLICATION_PROPERTIES), properties))
    if body is not None:
        encode_into(out, Described(ULong(VALUE), body))
    return bytes(out)


def entries(message: bytes, section: Section) -> list[tuple[Any, bytes]]:
    """Return the keys of a map section, each with the raw bytes of key and value."""
    wide = message[section.value] & 0x10
    try:
        if wide:
            _, count = struct.unpack_from(">II", message, section.value + 1)
        else:
            count = message[section.value + 2]
    except (struct.error, IndexError) as error:
        text = "a map section is cut short"
        raise DecodeError(text) from error
    position = section.value + (9 if wide else 3)
    found = []
    for _ in range(count // 2):
        start = position
        name, position = decode(message, position)
        try:
            hash(name)
        except TypeError as error:
            text = "the key of a map section is itself a list or map"
            raise DecodeError(text) from error
        position = skip(message, position)
        found.append((name, message[start:position]))
        if position > section.end:
            break
    if position != section.end or count % 2:
        text = "a map section does not end where its size says"
        raise DecodeError(text)
    return found


def map_section(code: int, pairs: list[bytes]) -> bytes:
    """Return a map section of keys and values that are already in wire form."""
    body = b"".join(pairs)
    return (
        bytes((0x00, 0x53, code)) + struct.pack(">BII", 0xD1, len(body) + 4, 2 * len(pairs)) + body
    )
