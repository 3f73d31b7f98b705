"""Events as messages: splits what a producer sent, and builds what a reader gets.

Messages are stored as they came; on the way out only the annotation sections are written
anew, with the broker's own entries added to the producer's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from local.eventhubs.amqp.decoder import decode
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.errors import DecodeError
from local.eventhubs.amqp.message import (
    DATA,
    DELIVERY_ANNOTATIONS,
    HEADER,
    MESSAGE_ANNOTATIONS,
    SEQUENCE,
    VALUE,
    Section,
    entries,
    map_section,
    scan,
)
from local.eventhubs.amqp.values import Int, Long, Symbol, Timestamp
from local.eventhubs.log.segment import Event

# The message format of a batch: each of its data sections is a complete message.
BATCH_FORMAT: Final = 0x80013700

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
class LastEnqueued:
    """The newest event of a partition, as reported to readers that track it."""

    sequence: int
    offset: str
    enqueued_ms: int


def split(payload: bytes, message_format: int) -> tuple[list[bytes], str | None]:
    """Return the events of a transferred message, and its partition key.

    Every event is a well-formed message; otherwise ``DecodeError`` is raised.
    """
    sections = _scan_event(payload)
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
            _scan_event(event)
            events.append(event)
        elif section.code in (SEQUENCE, VALUE):
            error = "a batch has data sections only"
            raise DecodeError(error)
    return events, key


def outgoing(event: Event, tracked: LastEnqueued | None, now_ms: int) -> bytes:
    """Return the message as a reader gets it.

    With ``tracked``, the delivery annotations describe the partition's newest event.
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
            delivery += [raw for _, raw in entries(message, section)]
        elif section.code == MESSAGE_ANNOTATIONS:
            annotations += [
                raw
                for name, raw in entries(message, section)
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
        head += map_section(DELIVERY_ANNOTATIONS, delivery)
    return bytes(head + map_section(MESSAGE_ANNOTATIONS, annotations) + rest)


def _scan_event(message: bytes) -> list[Section]:
    """Return a message's sections, if `outgoing` can read all that it reads of them.

    What only showed there would end every reader of the partition, again and again.
    """
    sections = scan(message)
    for section in sections:
        if section.code in (DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS):
            entries(message, section)
    return sections


def _partition_key(message: bytes, section: Section) -> str | None:
    for name, raw in entries(message, section):
        if name == PARTITION_KEY:
            _, position = decode(raw)
            key, _ = decode(raw, position)
            if isinstance(key, bytes):
                return key.decode("utf-8", "replace")
            return key if isinstance(key, str) and key else None
    return None


def _runtime_metric(tracked: LastEnqueued, now_ms: int) -> list[bytes]:
    metric = (
        ("last_enqueued_sequence_number", Long(tracked.sequence)),
        ("last_enqueued_sequence_number_epoch", Int(-1)),
        ("last_enqueued_offset", tracked.offset),
        ("last_enqueued_time_utc", Timestamp(tracked.enqueued_ms)),
        ("runtime_info_retrieval_time_utc", Timestamp(now_ms)),
    )
    return [encode(Symbol(name)) + encode(value) for name, value in metric]
