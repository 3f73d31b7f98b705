"""Segment files on the disk: what is known of one, writing to it, reading from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.eventhubs.errors import LogCorruptError
from local.eventhubs.log.segment import (
    HEADER_SIZE,
    RECORD_HEADER_SIZE,
    Event,
    SegmentHeader,
    decode_records,
    record_size,
)

# One index entry for this many bytes: a search reads at most as much.
_INDEX_INTERVAL: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """Of a staged event, what the log remembers once it is committed."""

    sequence: int
    offset: int
    enqueued_ms: int


@dataclass(slots=True)
class Segment:
    """One file, and a sparse index over it: (sequence, offset, time) of some records."""

    path: Path
    header: SegmentHeader
    end_offset: int
    last_ms: int
    sequences: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        """The bytes of its records."""
        return self.end_offset - self.header.first_offset

    def index(self, record: Mark | Event) -> None:
        """Enter a record into the index, if the last entry is far enough back."""
        if not self.offsets or record.offset - self.offsets[-1] >= _INDEX_INTERVAL:
            self.sequences.append(record.sequence)
            self.offsets.append(record.offset)
            self.times.append(record.enqueued_ms)


@dataclass(frozen=True, slots=True)
class WriteJob:
    """Bytes on their way to the disk, to be run in a thread."""

    path: Path
    new_header: SegmentHeader | None  # a new segment starts with it
    position: int
    data: bytes
    marks: tuple[Mark, ...]

    def run(self) -> None:
        """Write and sync. On failure the file is cut back to what it was."""
        flags = os.O_WRONLY | os.O_CLOEXEC
        if self.new_header is not None:
            flags |= os.O_CREAT | os.O_TRUNC
        fd = os.open(self.path, flags, 0o644)
        try:
            data = self.data if self.new_header is None else self.new_header.encode() + self.data
            start = self.position if self.new_header is None else 0
            view = memoryview(data)
            try:
                while view:
                    written = os.pwrite(fd, view, start)
                    view, start = view[written:], start + written
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, self.position if self.new_header is None else 0)
                raise
        finally:
            os.close(fd)
        if self.new_header is not None:
            sync_directory(self.path.parent)


def records_of(segment: Segment, offset: int, chunk: int) -> Iterator[Event]:
    """Yield the records of a segment from the one at ``offset``, reading ``chunk`` bytes at once.

    ``LogCorruptError`` is raised where a record is damaged or cut short.
    """
    fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while offset < segment.end_offset:
            place = HEADER_SIZE + offset - segment.header.first_offset
            left = segment.end_offset - offset
            data = os.pread(fd, min(chunk, left), place)
            if RECORD_HEADER_SIZE <= len(data) < min(record_size(data), left):
                data = os.pread(fd, min(record_size(data), left), place)
            before = offset
            for event in decode_records(data, offset):
                offset = event.next_offset
                yield event
            if offset == before:
                message = f"the record at offset {offset} of {segment.path.name} is cut short"
                raise LogCorruptError(message)
    finally:
        os.close(fd)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
