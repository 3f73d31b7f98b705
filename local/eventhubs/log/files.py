"""Segment files on disk: their state, writing to them, reading from them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
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
    find_record,
    record_size,
    sample_records,
)

_LOGGER: Final = logging.getLogger(__name__)
# One index entry per so many bytes, which is the most that a search has to read.
_INDEX_INTERVAL: Final = 64 * 1024
_NAME: Final = re.compile(r"(\d{20})-(\d{20})\.log")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the log remembers of a staged event once it is committed."""

    sequence: int
    offset: int
    enqueued_ms: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Damaged bytes of a segment, without any intact record."""

    offset: int
    next_offset: int


@dataclass(slots=True)
class Segment:
    """One file, and a sparse index over it: (sequence, offset, time) of some records."""

    path: Path
    header: SegmentHeader
    end_offset: int
    last_ms: int
    descriptor: int | None = None  # kept open while the segment is appended to
    sequences: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    holes: dict[int, int] = field(default_factory=dict)  # from an offset to the one after it

    @property
    def size(self) -> int:
        """The bytes of its records."""
        return self.end_offset - self.header.first_offset

    def index(self, record: Mark | Event) -> None:
        """Add a record to the index, if the last entry is far enough back."""
        if not self.offsets or record.offset - self.offsets[-1] >= _INDEX_INTERVAL:
            self.sequences.append(record.sequence)
            self.offsets.append(record.offset)
            self.times.append(record.enqueued_ms)

    def build_index(self) -> None:
        """Index a segment that was complete before this process started."""
        data = self.read(self.header.first_offset, self.size)
        for event in sample_records(data, self.header.first_offset, _INDEX_INTERVAL):
            self.index(event)

    def note(self, hole: Hole) -> None:
        """Remember a hole, and log it for the operator."""
        self.holes[hole.offset] = hole.next_offset
        _LOGGER.error(
            "%s is damaged: %d bytes from offset %d on cannot be read, and the events in them "
            "are lost; those before and after are kept",
            self.path,
            hole.next_offset - hole.offset,
            hole.offset,
        )

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from an offset on."""
        with self._opened() as fd:
            return os.pread(fd, size, HEADER_SIZE + offset - self.header.first_offset)

    def records(self, offset: int, chunk: int) -> Iterator[Event]:
        """Yield the records from the one at ``offset`` on, reading ``chunk`` bytes at a time.

        Damaged ones are skipped.
        """
        for found in self.scan(offset, chunk):
            if isinstance(found, Hole):
                self.note(found)
            else:
                yield found

    def scan(self, offset: int, chunk: int) -> Iterator[Event | Hole]:
        """Yield the records from the one at ``offset`` on, and the holes not noted yet."""
        sequence = self.header.first_sequence
        with self._opened() as fd:
            while offset < self.end_offset:
                place = HEADER_SIZE + offset - self.header.first_offset
                left = self.end_offset - offset
                data = os.pread(fd, min(chunk, left), place)
                if RECORD_HEADER_SIZE <= len(data) < min(record_size(data), left):
                    data = os.pread(fd, min(record_size(data), left), place)
                before = offset
                for event in decode_records(data, offset):
                    sequence, offset = event.sequence + 1, event.next_offset
                    yield event
                if offset == before:
                    if offset not in self.holes:
                        found = find_record(os.pread(fd, left, place)[1:], sequence)
                        end = self.end_offset if found is None else offset + 1 + found
                        yield Hole(offset, end)
                        offset = end
                    else:
                        offset = self.holes[offset]

    def open_for_writing(self) -> int:
        """Return a descriptor for appending, which stays open until ``close``."""
        if self.descriptor is None:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        return self.descriptor

    def cut(self, end_offset: int) -> None:
        """Drop the bytes from an offset on."""
        self.end_offset = end_offset
        fd = self.open_for_writing()
        os.ftruncate(fd, HEADER_SIZE + self.size)
        os.fsync(fd)

    def restart(self, header: SegmentHeader) -> None:
        """Drop all records and start over with ``header``, without needing space on disk.

        The file is renamed first, and its name is authoritative: ``open_segment`` completes a
        restart that was interrupted.
        """
        fd, before = self.open_for_writing(), self.path
        self.path = before.rename(before.with_name(segment_name(header)))
        try:
            sync_directory(self.path.parent)
            os.ftruncate(fd, HEADER_SIZE)
        except OSError:
            self.path = self.path.rename(before)
            raise
        self.header, self.end_offset, self.last_ms = header, header.first_offset, header.previous_ms
        for column in (self.sequences, self.offsets, self.times):
            column.clear()
        self.holes.clear()
        os.fsync(fd)  # the old records must not be there behind the new header
        os.pwrite(fd, header.encode(), 0)
        os.fsync(fd)

    def close(self) -> None:
        """Close the descriptor; the segment can still be read."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        if self.descriptor is not None:
            yield self.descriptor
            return
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)


@dataclass(slots=True)
class WriteJob:
    """A write that is run in a thread."""

    path: Path
    new_header: SegmentHeader | None  # a new segment starts with it
    descriptor: int | None  # of the existing segment, or of the new one once it is written
    position: int
    data: bytes
    marks: tuple[Mark, ...]

    def run(self) -> None:
        """Write and sync. After a failure the file is as it was before, or absent."""
        if self.new_header is None:
            assert self.descriptor is not None
            try:
                _write(self.descriptor, self.data, self.position)
                os.fdatasync(self.descriptor)
            except OSError:
                os.ftruncate(self.descriptor, self.position)
                raise
            return
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            _write(fd, self.new_header.encode() + self.data, 0)
            os.fdatasync(fd)
            sync_directory(self.path.parent)
        except OSError:
            os.close(fd)
            self.path.unlink()
            raise
        self.descriptor = fd


def segment_name(header: SegmentHeader) -> str:
    """Return a segment's file name, which says where it begins in case its header is damaged."""
    return f"{header.first_sequence:020d}-{header.first_offset:020d}.log"


def open_segment(path: Path, before: Segment | None) -> Segment:
    """Return the segment of a file; a damaged header is restored from the file's name.

    ``before`` is the preceding segment. ``LogCorruptError`` if it is not named like a segment.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        message = f"{path} is not named like a segment of a log"
        raise LogCorruptError(message)
    sequence, offset = map(int, match.groups())
    with path.open("rb") as file:
        raw = file.read(HEADER_SIZE)
    try:
        header = SegmentHeader.decode(raw)
    except LogCorruptError:
        header = None
    if header is None or header.first_sequence != sequence:
        written = (before.path if before is not None else path).stat().st_mtime_ns // 1_000_000
        if header is None:
            _LOGGER.error("the header of %s is damaged, and made again from its name", path)
        # Otherwise a restart did not get as far as the header, but maybe records were appended.
        emptied = header is not None and find_record(path.read_bytes(), sequence) is None
        header = SegmentHeader(sequence, offset, offset - 1, written if sequence else 0)
        with path.open("r+b", buffering=0) as file:
            if emptied:
                file.truncate(HEADER_SIZE)
            file.write(header.encode())
            os.fsync(file.fileno())
    size = max(path.stat().st_size - HEADER_SIZE, 0)
    return Segment(path, header, header.first_offset + size, header.previous_ms)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(fd: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, start)
        view, start = view[written:], start + written
