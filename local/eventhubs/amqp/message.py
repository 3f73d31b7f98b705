"""Read and build messages by their sections, leaving the bytes of bodies alone.

A message is a row of described sections (part 3: messaging, section 3.2). What a
producer sent is stored as it came; on the way out only the annotation sections
are written anew, with the broker's own entries spliced in among the producer's.
Sections are accepted in any order: azure-eventhub writes the delivery
annotations last.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

from local.eventhubs.amqp.decoder import decode, skip
from local.eventhubs.amqp.encoder import encode, encode_into
from local.eventhubs.amqp.errors import DecodeError
from local.eventhubs.amqp.values import Described, Int, Long, Symbol, Timestamp, ULong
from local.eventhubs.log.segment import Event

# The message format of a batch: its data sections are each a whole message.
BATCH_FORMAT: Final = 0x80013700

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

PARTITION_KEY: Final = "x-opt-partition-key"
SEQUENCE_NUMBER: Final = "x-opt-sequence-number"
OFFSET: Final = "x-opt-offset"
ENQUEUED_TIME: Final = "x-opt-enqueued-time"
_OWN_ANNOTATIONS: Final = frozenset(
    (SEQUENCE_NUMBER, SEQUENCE_NUMBER + "-epoch", OFFSET, ENQUEUED_TIME)
)
_EPOCH: Final = encode(Symbol(SEQUENCE_NUMBER + "-epoch")) + encode(Int(-1))
_KEYS: Final = tuple(
    encode(Symbol(name)) for name in (SEQUENCE_NUMBER, OFFSET, ENQUEUED_TIME, PARTITION_KEY)
)


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section lies in its message: all of it, and the value after its descriptor."""

    code: int
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class LastEnqueued:
    """The newest event of a partition, as told to readers that track it."""

    sequence: int
    offset: str
    enqueued_ms: int


@dataclass(frozen=True, slots=True)
class Request:
    """A message to ``$cbs`` or ``$management``."""

    message_id: Any = None
    reply_to: str | None = None
    properties: dict[Any, Any] = field(default_factory=dict)
    body: Any = None


def scan(message: bytes) -> list[Section]:
    """Return the sections of a message; ``DecodeError`` if it is not a row of them."""
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


def split(payload: bytes, message_format: int) -> tuple[list[bytes], str | None]:
    """Return the events of a transferred message, and its partition key.

    Every event is a well-formed message, or ``DecodeError`` is raised.
    """
    sections = scan(payload)
    key = None
    for section in sections:
        if section.code == MESSAGE_ANNOTATIONS:
            key = _partition_key(payload, section)
    if message_format != BATCH_FORMAT:
        return [payload], key
    events = []
    for section in sections:
        if section.code == DATA:
            event, _ = decode(payload, section.value)
            for inner in scan(event):
                if inner.code == MESSAGE_ANNOTATIONS:
                    _entries(event, inner)
            events.append(event)
        elif section.code in (SEQUENCE, VALUE):
            error = "a batch has data sections only"
            raise DecodeError(error)
    return events, key


def outgoing(event: Event, tracked: LastEnqueued | None, now_ms: int) -> bytes:
    """Return the message as a reader gets it.

    With ``tracked``, the delivery annotations tell the partition's newest event.
    """
    message = event.message
    head = bytearray()
    rest = bytearray()
    delivery: list[bytes] = []
    annotations: list[bytes] = []
    for section in scan(message):
        if section.code == HEADER:
            head += message[section.start : section.end]
        elif section.code == DELIVERY_ANNOTATIONS:
            delivery += [raw for _, raw in _entries(message, section)]
        elif section.code == MESSAGE_ANNOTATIONS:
            annotations += [
                raw
                for name, raw in _entries(message, section)
                if name not in _OWN_ANNOTATIONS
                and not (name == PARTITION_KEY and event.partition_key is not None)
            ]
        else:
            rest += message[section.start : section.end]
    sequence, offset, enqueued, key = _KEYS
    annotations += (
        _EPOCH,
        sequence + encode(Long(event.sequence)),
        offset + encode(str(event.offset)),
        enqueued + encode(Timestamp(event.enqueued_ms)),
    )
    if event.partition_key is not None:
        annotations.append(key + encode(event.partition_key))
    if tracked is not None:
        delivery += _runtime_metric(tracked, now_ms)
    if delivery:
        head += _map_section(DELIVERY_ANNOTATIONS, delivery)
    return bytes(head + _map_section(MESSAGE_ANNOTATIONS, annotations) + rest)


def parse_request(payload: bytes) -> Request:
    """Return the parts of a request that ``$cbs`` and ``$management`` look at."""
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


def _entries(message: bytes, section: Section) -> list[tuple[Any, bytes]]:
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
    entries = []
    for _ in range(count // 2):
        start = position
        name, position = decode(message, position)
        position = skip(message, position)
        entries.append((name, message[start:position]))
        if position > section.end:
            break
    if position != section.end or count % 2:
        text = "a map section does not end where its size says"
        raise DecodeError(text)
    return entries


def _partition_key(message: bytes, section: Section) -> str | None:
    for name, raw in _entries(message, section):
        if name == PARTITION_KEY:
            _, position = decode(raw)
            key, _ = decode(raw, position)
            if isinstance(key, bytes):
                return key.decode("utf-8", "replace")
            return key if isinstance(key, str) and key else None
    return None


def _map_section(code: int, entries: list[bytes]) -> bytes:
    body = b"".join(entries)
    return (
        bytes((0x00, 0x53, code))
        + struct.pack(">BII", 0xD1, len(body) + 4, 2 * len(entries))
        + body
    )


def _runtime_metric(tracked: LastEnqueued, now_ms: int) -> list[bytes]:
    metric = (
        ("last_enqueued_sequence_number", Long(tracked.sequence)),
        ("last_enqueued_sequence_number_epoch", Int(-1)),
        ("last_enqueued_offset", tracked.offset),
        ("last_enqueued_time_utc", Timestamp(tracked.enqueued_ms)),
        ("runtime_info_retrieval_time_utc", Timestamp(now_ms)),
    )
    return [encode(Symbol(name)) + encode(value) for name, value in metric]
