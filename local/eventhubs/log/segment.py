"""The bytes of a segment file: a header, then records, each with its checksum.

A record's offset is its distance in bytes from the first record that the
partition ever stored, so that an offset finds its place in a file by one
subtraction: opaque to clients, ascending, not consecutive.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from local.eventhubs.errors import LogCorruptError

_MAGIC: Final = b"EHSEG\x00\x00\x01"
# Magic, first sequence number, first offset, and of the event before this segment:
# its offset (-1 for none) and its time; then the checksum of all that.
_HEADER: Final = struct.Struct(">8sQQqqI")
HEADER_SIZE: Final = _HEADER.size
# Size of what follows the checksum, the checksum, sequence number, time, key size.
_RECORD: Final = struct.Struct(">IIQqH")
RECORD_HEADER_SIZE: Final = _RECORD.size
_UNCHECKED: Final = 8
_FIXED: Final = RECORD_HEADER_SIZE - _UNCHECKED
# A partition key is at most 128 characters on the service; ours are cut at 64 KiB.
_NO_KEY: Final = 0xFFFF
MAX_KEY_BYTES: Final = _NO_KEY - 1


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event: the producer's bytes, and what the broker gave it."""

    sequence: int
    offset: int
    next_offset: int
    enqueued_ms: int
    partition_key: str | None
    message: bytes


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment knows about the log before it."""

    first_sequence: int
    first_offset: int
    previous_offset: int
    previous_ms: int

    def encode(self) -> bytes:
        """Return the header's bytes."""
        fields = (
            self.first_sequence,
            self.first_offset,
            self.previous_offset,
            self.previous_ms,
        )
        body = _HEADER.pack(_MAGIC, *fields, 0)[:-4]
        return body + struct.pack(">I", zlib.crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> SegmentHeader:
        """Return the header that ``data`` starts with; ``LogCorruptError`` if there is none."""
        if len(data) < HEADER_SIZE:
            message = "the header of a segment is cut short"
            raise LogCorruptError(message)
        magic, sequence, offset, previous, time_ms, crc = _HEADER.unpack_from(data)
        if magic != _MAGIC or crc != zlib.crc32(data[: HEADER_SIZE - 4]):
            message = "the header of a segment is damaged"
            raise LogCorruptError(message)
        return cls(sequence, offset, previous, time_ms)


def encode_record(sequence: int, enqueued_ms: int, key: str | None, message: bytes) -> bytes:
    """Return the bytes of one record."""
    raw_key = b"" if key is None else key.encode()[:MAX_KEY_BYTES]
    key_size = _NO_KEY if key is None else len(raw_key)
    checked = struct.pack(">QqH", sequence, enqueued_ms, key_size) + raw_key + message
    return struct.pack(">II", len(checked), zlib.crc32(checked)) + checked


def record_size(header: bytes) -> int:
    """Return the size of the record whose header these bytes are."""
    size: int = _RECORD.unpack_from(header)[0]
    return size + _UNCHECKED


def decode_records(data: bytes, offset: int) -> Iterator[Event]:
    """Yield the whole records at the start of ``data``.

    ``offset`` is that of the first record. Ends quietly where a record is cut
    short, and raises ``LogCorruptError`` where a checksum does not hold.
    """
    position = 0
    while position + RECORD_HEADER_SIZE <= len(data):
        size, crc, sequence, enqueued_ms, key_size = _RECORD.unpack_from(data, position)
        checked = position + _UNCHECKED
        end = checked + size
        body = checked + _FIXED
        has_key = key_size != _NO_KEY
        message_at = body + (key_size if has_key else 0)
        if size < _FIXED or (end <= len(data) and message_at > end):
            message = f"the record at offset {offset + position} is damaged"
            raise LogCorruptError(message)
        if end > len(data):
            return
        if zlib.crc32(data[checked:end]) != crc:
            message = f"the record at offset {offset + position} fails its checksum"
            raise LogCorruptError(message)
        key = data[body:message_at].decode("utf-8", "replace") if has_key else None
        message_bytes = data[message_at:end]
        yield Event(sequence, offset + position, offset + end, enqueued_ms, key, message_bytes)
        position = end
