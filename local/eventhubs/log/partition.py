"""The log of one partition: segment files, appended to and read by offset.

The life of an event: ``stage`` assigns its sequence number and offset and puts it into
memory; ``take_staged`` passes everything staged to a writer thread, whose ``WriteJob.run``
writes and syncs it; ``commit`` makes it visible to readers. Only ``WriteJob.run`` uses the
disk for long, and it touches nothing else.

A process that dies during a write leaves a torn record at the end of the newest segment.
Opening the log cuts it off, since it was never acknowledged. Anything else that does not
match its checksum is damage to what was stored: it is reported in the log, its events are
lost, and it stays in place, so that later events keep their offsets and numbers.
"""

from __future__ import annotations

import itertools
import logging
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.eventhubs.log.files import (
    Hole,
    Mark,
    Segment,
    WriteJob,
    open_segment,
    segment_name,
    sync_directory,
)
from local.eventhubs.log.segment import (
    HEADER_SIZE,
    Event,
    SegmentHeader,
    count_records,
    encode_record,
    is_torn,
)

_LOGGER: Final = logging.getLogger(__name__)
_MIB: Final = 1024 * 1024
_READ_SIZE: Final = 128 * 1024
_CLOCK_WAS_WRONG_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events are kept; they are dropped by whole segments, oldest first."""

    max_age_ms: int = 7 * 24 * 3_600_000  # the longest that the service offers
    max_bytes: int = 1024 * _MIB  # of one partition
    segment_bytes: int = 16 * _MIB


class PartitionLog:
    """The events of one partition, in order, and without gaps unless a file was damaged."""

    def __init__(self, directory: Path, retention: Retention) -> None:
        if not directory.is_dir():
            directory.mkdir(parents=True)
            # A power cut must not remove the directory of acknowledged events.
            sync_directory(directory.parent)
            sync_directory(directory.parent.parent)
        self._directory = directory
        self._retention = retention
        self._segments = self._open_segments()
        newest = self._segments[-1]
        self._next_sequence = newest.header.first_sequence
        self._last_offset = newest.header.previous_offset
        self._last_ms = newest.header.previous_ms
        self._recover(newest)
        self._committed = Mark(self._next_sequence - 1, self._last_offset, self._last_ms)
        self._end_offset = newest.end_offset
        self._staged = bytearray()
        self._marks: list[Mark] = []

    # -- what is there ----------------------------------------------------------------

    @property
    def last(self) -> Mark:
        """The newest committed event; its sequence and offset are -1 if there never was one."""
        return self._committed

    @property
    def begin_sequence(self) -> int:
        """The sequence number of the oldest event kept; -1 if there never was one."""
        return -1 if self._committed.sequence < 0 else self._segments[0].header.first_sequence

    @property
    def begin_offset(self) -> int:
        """The offset of the oldest event kept."""
        return self._segments[0].header.first_offset

    @property
    def end_offset(self) -> int:
        """The offset that follows the newest committed event."""
        return self._segments[-1].end_offset

    @property
    def is_empty(self) -> bool:
        """Whether no event is kept."""
        return self.begin_offset == self.end_offset

    # -- appending ----------------------------------------------------------------------

    def stage(self, messages: list[bytes], key: str | None, now_ms: int) -> None:
        """Assign each message its place; it becomes visible once it is committed."""
        self._last_ms = self._time_after(self._last_ms, now_ms)
        for message in messages:
            record = encode_record(self._next_sequence, self._last_ms, key, message)
            self._staged += record
            self._marks.append(Mark(self._next_sequence, self._end_offset, self._last_ms))
            self._next_sequence += 1
            self._end_offset += len(record)

    def _time_after(self, last_ms: int, now_ms: int) -> int:
        """Return an event's time: not before the last one's, unless the clock was far ahead.

        Otherwise, after a clock that was years ahead is corrected, all events would get its time
        for years, and none would ever expire.
        """
        if last_ms <= now_ms + _CLOCK_WAS_WRONG_MS:
            return max(last_ms, now_ms)
        _LOGGER.warning(
            "the clock was set back by %d s: times go on from now, events before in %s keep theirs",
            (last_ms - now_ms) // 1000,
            self._directory,
        )
        return now_ms

    def take_staged(self) -> WriteJob | None:
        """Return everything staged as one write, or None if nothing is."""
        if not self._marks:
            return None
        marks, data = tuple(self._marks), bytes(self._staged)
        self._marks.clear()
        self._staged.clear()
        newest = self._segments[-1]
        if newest.size and newest.size + len(data) > self._retention.segment_bytes:
            header = self._next_header()
            path = self._directory / segment_name(header)
            return WriteJob(path, header, None, HEADER_SIZE, data, marks)
        fd = newest.open_for_writing()
        return WriteJob(newest.path, None, fd, HEADER_SIZE + newest.size, data, marks)

    def commit(self, job: WriteJob) -> None:
        """Make the events of a finished write visible."""
        if job.new_header is not None:
            offset = job.new_header.first_offset
            self._segments[-1].close()
            segment = Segment(
                job.path, job.new_header, offset, job.new_header.previous_ms, job.descriptor
            )
            self._segments.append(segment)
        newest = self._segments[-1]
        for mark in job.marks:
            newest.index(mark)
        newest.end_offset = job.marks[0].offset + len(job.data)
        newest.last_ms = job.marks[-1].enqueued_ms
        self._committed = job.marks[-1]

    def roll_back(self) -> None:
        """Forget everything that is not committed, after a write has failed."""
        self._marks.clear()
        self._staged.clear()
        self._next_sequence = self._committed.sequence + 1
        self._end_offset = self.end_offset

    def _next_header(self) -> SegmentHeader:
        last = self._committed
        return SegmentHeader(last.sequence + 1, self.end_offset, last.offset, last.enqueued_ms)

    # -- reading ------------------------------------------------------------------------

    def read(self, offset: int, max_events: int, max_bytes: int = _READ_SIZE) -> list[Event]:
        """Return committed events from ``offset`` on, at least one if there are any.

        ``offset`` is that of a record. If its event was dropped already, reading continues
        with the oldest one kept.
        """
        offset = max(offset, self.begin_offset)
        if offset >= self.end_offset:
            return []
        events = []
        for event in self._records(offset, max_bytes):
            events.append(event)
            max_bytes -= len(event.message)
            if len(events) >= max_events or max_bytes <= 0:
                break
        return events

    def offset_from_offset(self, offset: int, *, inclusive: bool) -> int:
        """Return the offset of the first event after (or at) ``offset``."""
        return self._find(
            offset + (0 if inclusive else 1),
            last_of=lambda header: header.first_offset - 1,
            column=lambda segment: segment.offsets,
            value_of=lambda event: event.offset,
        )

    def offset_from_sequence(self, sequence: int, *, inclusive: bool) -> int:
        """Return the offset of the first event after (or at) a sequence number."""
        return self._find(
            sequence + (0 if inclusive else 1),
            last_of=lambda header: header.first_sequence - 1,
            column=lambda segment: segment.sequences,
            value_of=lambda event: event.sequence,
        )

    def offset_from_time(self, time_ms: int, *, inclusive: bool) -> int:
        """Return the offset of the first event enqueued after (or at) a time."""
        return self._find(
            time_ms + (0 if inclusive else 1),
            last_of=lambda header: header.previous_ms,
            column=lambda segment: segment.times,
            value_of=lambda event: event.enqueued_ms,
        )

    def _find(
        self,
        wanted: int,
        *,
        last_of: Callable[[SegmentHeader], int],
        column: Callable[[Segment], list[int]],
        value_of: Callable[[Event], int],
    ) -> int:
        """Return the offset of the first event whose value is at least ``wanted``.

        Values ascend through the log. ``last_of`` reads from a segment's header the
        value that the segment before it ends with.
        """
        at = 0
        while at + 1 < len(self._segments) and last_of(self._segments[at + 1].header) < wanted:
            at += 1
        segment = self._segments[at]
        if not segment.offsets:
            segment.build_index()
        entry = bisect_left(column(segment), wanted) - 1
        start = segment.offsets[entry] if entry >= 0 else segment.header.first_offset
        for event in segment.records(start, _READ_SIZE):
            if value_of(event) >= wanted:
                return event.offset
        return segment.end_offset

    def _records(self, offset: int, chunk: int = _READ_SIZE) -> Iterator[Event]:
        """Yield committed records from the one at ``offset`` on, across segments."""
        at = bisect_right([each.header.first_offset for each in self._segments], offset) - 1
        for segment in self._segments[max(at, 0) :]:
            yield from segment.records(max(offset, segment.header.first_offset), chunk)

    # -- retention ------------------------------------------------------------------------

    def enforce_retention(self, now_ms: int) -> int:
        """Drop the segments that exceed the retention's age or size; return how many.

        This needs no space on disk. It must not be called during a write, because a newest
        segment that is too old is emptied, and continues the numbers.
        """
        oldest_ms = now_ms - self._retention.max_age_ms
        total = sum(segment.size for segment in self._segments)
        dropped = 0
        # An event cannot be newer than a later one, whatever time a wrong clock gave it.
        ages = [each.last_ms for each in reversed(self._segments)]
        youngest = deque(reversed(list(itertools.accumulate(ages, min))))
        while len(self._segments) > 1 and (
            youngest.popleft() < oldest_ms or total > self._retention.max_bytes
        ):
            segment = self._segments[0]
            segment.path.unlink()
            total -= self._segments.pop(0).size
            dropped += 1
        newest = self._segments[-1]
        if len(self._segments) == 1 and newest.size and newest.last_ms < oldest_ms:
            newest.restart(self._next_header())
            dropped += 1
        return dropped

    def close(self) -> None:
        """Close the files."""
        self._segments[-1].close()

    # -- opening, recovery ----------------------------------------------------------------

    def _open_segments(self) -> list[Segment]:
        segments: list[Segment] = []
        for path in sorted(self._directory.glob("*.log")):
            if path.stat().st_size < HEADER_SIZE and segments:
                path.unlink()  # the process died while it was creating this segment
            else:
                segments.append(open_segment(path, segments[-1] if segments else None))
        for earlier, later in itertools.pairwise(segments):
            earlier.last_ms = later.header.previous_ms
            earlier.end_offset = later.header.first_offset
        if not segments:
            segments.append(self._create(SegmentHeader(0, 0, -1, 0)))
        return segments

    def _create(self, header: SegmentHeader) -> Segment:
        job = WriteJob(self._directory / segment_name(header), header, None, HEADER_SIZE, b"", ())
        job.run()
        return Segment(job.path, header, header.first_offset, header.previous_ms, job.descriptor)

    def _recover(self, newest: Segment) -> None:
        """Read every record of the newest segment, and cut off a torn one."""
        for found in newest.scan(newest.header.first_offset, _READ_SIZE):
            if isinstance(found, Event):
                newest.index(found)
                self._next_sequence = found.sequence + 1
                self._last_offset, self._last_ms = found.offset, found.enqueued_ms
            elif found.next_offset < newest.end_offset:
                newest.note(found)
            else:
                self._recover_tail(newest, found)
        newest.last_ms = self._last_ms

    def _recover_tail(self, newest: Segment, tail: Hole) -> None:
        """Cut off a record that was not written completely, or keep the place of damaged ones."""
        size = tail.next_offset - tail.offset
        data = newest.read(tail.offset, size)
        if is_torn(data, self._next_sequence):
            _LOGGER.warning("cut %d bytes of an unfinished write off %s", size, newest.path)
            newest.cut(tail.offset)
        else:
            newest.note(tail)
            # Their sequence numbers were assigned, and must not be assigned again.
            self._next_sequence += count_records(data, self._next_sequence)
            self._last_offset = tail.offset
