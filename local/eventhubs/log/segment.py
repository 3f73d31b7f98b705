"""The bytes of a segment file: a header, then records, each with its checksum.

A record's offset is its distance in bytes from the first record that the partition ever
stored, so that one subtraction gives its position in a file: opaque to clients, ascending,
not consecutive. A record that does not match its checksum is skipped, and the next one is
found by its own checksum.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from local.eventhubs.errors import LogCorruptError

_MAGIC: Final = b"EHSEG\x00\x00\x01"
# Magic, first sequence number, first offset, the offset (-1 for none) and the time of the
# event before this segment, and a checksum over all of these.
_HEADER: Final = struct.Struct(">8sQQqqI")
HEADER_SIZE: Final = _HEADER.size
# Size of what follows the checksum, checksum, sequence number, time, key size.
_RECORD: Final = struct.Struct(">IIQqH")
_SIZE: Final = struct.Struct(">I")
RECORD_HEADER_SIZE: Final = _RECORD.size
_UNCHECKED: Final = 8
_FIXED: Final = RECORD_HEADER_SIZE - _UNCHECKED
# The service limits a partition key to 128 characters; here it is cut at 64 KiB.
_NO_KEY: Final = 0xFFFF
MAX_KEY_BYTES: Final = _NO_KEY - 1
# Records are never larger, not even a message of 1 MiB with the longest key.
_MAX_RECORD: Final = 0x1F_FFFF
# A size from _FIXED to _MAX_RECORD, and any checksum: the bytes before a sequence number.
_RECORD_START: Final = (
    rb"(?s)(?=(?:\x00[\x00-\x1f][\x01-\xff].|\x00[\x01-\x1f]..|\x00\x00\x00[\x12-\xff])....(?:%s))"
)
# A segment has no room for so many records that their numbers differ in more than the last three
# bytes.
_SHARED_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event: the producer's bytes, and what the broker assigned to it."""

    sequence: int
    offset: int
    next_offset: int
    enqueued_ms: int
    partition_key: str | None
    message: bytes


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment stores about the log before it."""

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
        """Return the header that ``data`` starts with; ``LogCorruptError`` if it is damaged."""
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


def record_size(data: bytes, position: int = 0) -> int:
    """Return the size of the record whose header is at ``position``."""
    size: int = _SIZE.unpack_from(data, position)[0]
    return size + _UNCHECKED


def decode_records(data: bytes, offset: int) -> Iterator[Event]:
    """Yield the records at the start of ``data``, up to the first incomplete or damaged one.

    ``offset`` is that of the first record.
    """
    position = 0
    while (event := _decode_record(data, position, offset)) is not None:
        yield event
        position = event.next_offset - offset


def sample_records(data: bytes, offset: int, interval: int) -> Iterator[Event]:
    """Yield the first record of ``data``, and one for about every ``interval`` bytes after it.

    ``offset`` is that of the first record. The others are skipped by their sizes alone, which
    takes a sixth of the time; damage may lose samples, but never produces a wrong one.
    """
    position = due = sequence = 0
    while position + RECORD_HEADER_SIZE <= len(data):
        if position >= due:
            event = _decode_record(data, position, offset)
            if event is None:
                found = find_record(data[position + 1 :], sequence)
                if found is None:
                    return
                position += 1 + found
                continue
            yield event
            sequence, due = event.sequence + 1, position + interval
        position += record_size(data, position)


def find_record(data: bytes, first_sequence: int) -> int | None:
    """Return the position of the first complete record in ``data``, which may start anywhere.

    Its sequence number is at least ``first_sequence``.
    """
    most = first_sequence + len(data) // RECORD_HEADER_SIZE + 1
    prefixes = {struct.pack(">Q", number)[:_SHARED_BYTES] for number in (first_sequence, most)}
    pattern = _RECORD_START % b"|".join(re.escape(prefix) for prefix in sorted(prefixes))
    for match in re.finditer(pattern, data):
        event = _decode_record(data, match.start(), 0)
        if event is not None and first_sequence <= event.sequence <= most:
            return match.start()
    return None


def is_torn(data: bytes, sequence: int) -> bool:
    """Return whether ``data``, without any complete record, was left by an interrupted write.

    That is the beginning of the record ``sequence``, or blocks that were never written.
    """
    if len(data) < RECORD_HEADER_SIZE or not any(data):
        return True
    size, crc, found, _, _ = _RECORD.unpack_from(data)
    begun = found == sequence and _FIXED <= size <= _MAX_RECORD and size + _UNCHECKED > len(data)
    # If the checksum matches, the record was stored completely, and its size is damaged.
    return bool(begun and zlib.crc32(data[_UNCHECKED:]) != crc)


def count_records(data: bytes, sequence: int) -> int:
    """Return how many records ``data``, which begins with record ``sequence``, held: at least 1.

    They are counted by their headers, as far as these are undamaged.
    """
    position, count = 0, 0
    while position + RECORD_HEADER_SIZE <= len(data):
        size, _, found, _, _ = _RECORD.unpack_from(data, position)
        if found != sequence + count or not _FIXED <= size <= _MAX_RECORD:
            break
        position, count = position + _UNCHECKED + size, count + 1
    return max(count, 1)


def _decode_record(data: bytes, position: int, offset: int) -> Event | None:
    """Return the record at ``position``, or None if it is incomplete or damaged."""
    if position + RECORD_HEADER_SIZE > len(data):
        return None
    size, crc, sequence, enqueued_ms, key_size = _RECORD.unpack_from(data, position)
    checked = position + _UNCHECKED
    end = checked + size
    body = checked + _FIXED
    has_key = key_size != _NO_KEY
    message_at = body + (key_size if has_key else 0)
    if not (body <= message_at <= end <= len(data)) or zlib.crc32(data[checked:end]) != crc:
        return None
    key = data[body:message_at].decode("utf-8", "replace") if has_key else None
    return Event(sequence, offset + position, offset + end, enqueued_ms, key, data[message_at:end])
