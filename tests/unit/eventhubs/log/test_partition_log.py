"""The log of a partition: what is committed is there, wherever the process died."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.eventhubs.errors import LogCorruptError
from local.eventhubs.log.files import segment_name
from local.eventhubs.log.partition import PartitionLog, Retention
from local.eventhubs.log.segment import HEADER_SIZE, RECORD_HEADER_SIZE, SegmentHeader


def append(
    log: PartitionLog, messages: list[bytes], now_ms: int = 1, key: str | None = None
) -> None:
    log.stage(messages, key, now_ms)
    job = log.take_staged()
    if job is not None:
        job.run()
        log.commit(job)


def everything(log: PartitionLog) -> list[tuple[int, bytes]]:
    events, offset = [], log.begin_offset
    while batch := log.read(offset, 7, 200):
        events += [(event.sequence, event.message) for event in batch]
        offset = batch[-1].next_offset
    return events


def test_events_are_there_after_a_restart_with_key_and_time(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, Retention())
    append(log, [b"a", b""], 10, "key")
    append(log, [b"c"], 5)
    again = PartitionLog(tmp_path, Retention())
    first, second, third = again.read(0, 10)
    assert (first.sequence, first.offset, first.message) == (0, 0, b"a")
    assert (first.partition_key, first.enqueued_ms) == ("key", 10)
    assert (second.message, second.offset) == (b"", first.next_offset)
    # Time does not run backwards, whatever the clock does
    assert (third.partition_key, third.enqueued_ms) == (None, 10)
    assert again.last == log.last
    append(again, [b"d"], 20)
    assert everything(again) == [(0, b"a"), (1, b""), (2, b"c"), (3, b"d")]


def test_nothing_is_visible_before_it_is_committed(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, Retention())
    log.stage([b"a"], None, 1)
    job = log.take_staged()
    assert job is not None
    log.stage([b"b"], None, 1)
    assert log.read(0, 10) == []
    job.run()
    assert log.read(0, 10) == []
    log.commit(job)
    assert everything(log) == [(0, b"a")]
    assert log.last.sequence == 0


def test_a_tail_torn_at_any_byte_is_cut_and_the_rest_is_whole(tmp_path: Path) -> None:
    # Given three records, of which the last may not have reached the disk whole
    log = PartitionLog(tmp_path / "log", Retention())
    append(log, [b"first", b"second"])
    safe = log.end_offset
    append(log, [b"third"])
    (path,) = (tmp_path / "log").glob("*.log")
    data = path.read_bytes()
    for size in range(HEADER_SIZE + safe, len(data)):
        path.write_bytes(data[:size])
        # When it is opened
        again = PartitionLog(tmp_path / "log", Retention())
        # Then the first two are there, and the third one's place is free
        assert everything(again) == [(0, b"first"), (1, b"second")]
        assert path.stat().st_size == HEADER_SIZE + safe
        append(again, [b"new"])
        assert everything(again)[-1] == (2, b"new")


class FlippedBits:
    """A log of eight acknowledged events, of which one bit after the other flips."""

    def __init__(self, directory: Path) -> None:
        # Some look like the beginning of a record inside.
        bodies = [bytes([n]) * 40 + b"\0" * 30 + bytes([0, 0, 0, 20, n]) * n for n in range(8)]
        self._directory = directory
        log = PartitionLog(directory, Retention())
        for number, body in enumerate(bodies):
            append(log, [body], number, "key" if number % 2 else None)
        log.close()
        self._last = log.last
        self._stored = set(enumerate(bodies))
        (self._path,) = directory.glob("*.log")
        self._data = self._path.read_bytes()
        self.count = 8 * len(self._data)

    def check(self, bit: int) -> None:
        """Flip a bit of the stored file: it costs its own event and no other."""
        data = bytearray(self._data)
        data[bit // 8] ^= 1 << bit % 8
        self._path.write_bytes(data)
        log = PartitionLog(self._directory, Retention())
        kept = everything(log)
        assert len(kept) >= 7
        assert set(kept) <= self._stored
        # And no number or place is given out twice
        append(log, [b"next"], 100)
        assert log.last.sequence >= 8
        assert log.last.offset > self._last.offset
        log.close()
        again = PartitionLog(self._directory, Retention())
        assert everything(again) == [*kept, (log.last.sequence, b"next")]
        again.close()


@pytest.fixture(scope="module")
def flipped_bits(tmp_path_factory: pytest.TempPathFactory) -> FlippedBits:
    return FlippedBits(tmp_path_factory.mktemp("log") / "0")


@given(bit=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_a_flipped_bit_costs_its_own_event_and_no_other(
    flipped_bits: FlippedBits, bit: int
) -> None:
    flipped_bits.check(bit % flipped_bits.count)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_flipped_bit_costs_its_own_event_and_no_other(flipped_bits: FlippedBits) -> None:
    for bit in range(flipped_bits.count):
        flipped_bits.check(bit)


def test_what_a_damaged_sector_held_is_named_and_all_else_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Given segments of which a sector in the middle of each is overwritten
    retention = Retention(segment_bytes=20_000)
    log = PartitionLog(tmp_path, retention)
    for number in range(300):
        append(log, [bytes([number % 256]) * 200], number)
    log.close()
    paths = sorted(tmp_path.glob("*.log"))
    for path in paths:
        data = bytearray(path.read_bytes())
        data[5_000:5_512] = bytes(range(256)) * 2
        path.write_bytes(data)
    # When everything is read, twice
    again = PartitionLog(tmp_path, retention)
    kept = everything(again)
    assert everything(again) == kept
    # Then only the events in those sectors are missing, and each file is named once
    assert 300 - 4 * len(paths) <= len(kept) < 300
    assert [number for number, _ in kept] == sorted({number for number, _ in kept})
    damaged = [record.getMessage() for record in caplog.records if "damaged" in record.message]
    assert [str(path) in message for path, message in zip(paths, sorted(damaged), strict=True)]
    # And any position finds the next event that is there
    numbers = [number for number, _ in kept]
    for wanted in range(300):
        offset = again.offset_from_sequence(wanted, inclusive=True)
        (event, *_) = again.read(offset, 1) or [None]
        expected = next((number for number in numbers if number >= wanted), None)
        assert (event and event.sequence) == expected
    again.close()


def test_a_last_event_that_is_damaged_keeps_its_number(tmp_path: Path) -> None:
    # Given three events, and the last one's size, number or body damaged
    for place in range(RECORD_HEADER_SIZE + 3):
        directory = tmp_path / str(place)
        log = PartitionLog(directory, Retention())
        append(log, [b"a", b"b", b"c" * 10])
        at = HEADER_SIZE + log.last.offset + place
        log.close()
        (path,) = directory.glob("*.log")
        data = bytearray(path.read_bytes())
        data[at] ^= 4
        path.write_bytes(data)
        # When it is opened and appended to
        again = PartitionLog(directory, Retention())
        append(again, [b"d"])
        # Then a reader that has passed the third event gets the new one
        assert everything(again) == [(0, b"a"), (1, b"b"), (3, b"d")]
        after = again.offset_from_offset(log.last.offset, inclusive=False)
        assert [event.message for event in again.read(after, 10)] == [b"d"]
        again.close()


@pytest.mark.parametrize("segment_bytes", [100, 1_000, 1_000_000])
def test_any_position_is_found_in_any_segment(tmp_path: Path, segment_bytes: int) -> None:
    retention = Retention(segment_bytes=segment_bytes)
    log = PartitionLog(tmp_path, retention)
    for number in range(60):
        append(log, [b"x" * (number * 37 % 90)], now_ms=number // 3 * 10)
    # Both in the process that wrote it and in the next one
    for each in (log, PartitionLog(tmp_path, retention)):
        events = []
        offset = 0
        while batch := each.read(offset, 1000, 10**6):
            events += batch
            offset = batch[-1].next_offset
        assert [event.sequence for event in events] == list(range(60))
        ends = {event.offset: event.next_offset for event in events}
        for event in events:
            at, after = event.offset, ends[event.offset]
            assert each.offset_from_offset(at, inclusive=True) == at
            assert each.offset_from_offset(at, inclusive=False) == after
            assert each.offset_from_offset(at + 1, inclusive=True) == after
            assert each.offset_from_sequence(event.sequence, inclusive=True) == at
            assert each.offset_from_sequence(event.sequence, inclusive=False) == after
            same_time = [e for e in events if e.enqueued_ms == event.enqueued_ms]
            time_ms = event.enqueued_ms
            assert each.offset_from_time(time_ms, inclusive=True) == same_time[0].offset
            assert each.offset_from_time(time_ms, inclusive=False) == same_time[-1].next_offset
        assert each.offset_from_time(10**9, inclusive=True) == each.end_offset


def test_a_write_that_fails_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PartitionLog(tmp_path, Retention())
    append(log, [b"kept"])
    log.stage([b"lost"], None, 1)
    job = log.take_staged()
    assert job is not None
    log.stage([b"lost behind it"], None, 1)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(OSError, match="no space"):
            job.run()
    log.roll_back()
    append(log, [b"next"])
    assert everything(log) == everything(PartitionLog(tmp_path, Retention()))
    assert everything(log) == [(0, b"kept"), (1, b"next")]


def test_a_segment_that_was_only_begun_does_not_count(tmp_path: Path) -> None:
    retention = Retention(segment_bytes=50)
    log = PartitionLog(tmp_path, retention)
    append(log, [b"a" * 60])
    log.stage([b"b"], None, 1)
    job = log.take_staged()
    assert job is not None
    assert job.new_header is not None
    header = job.new_header.encode()
    for torn in (b"", header[:20], header + job.data[:9], bytes(len(header) + 9)):
        job.path.write_bytes(torn)
        again = PartitionLog(tmp_path, retention)
        assert everything(again) == [(0, b"a" * 60)]
        append(again, [b"new"])
        assert everything(again) == [(0, b"a" * 60), (1, b"new")]
        again.close()
        job.path.unlink()


def test_a_damaged_header_is_made_again_from_the_name(tmp_path: Path) -> None:
    retention = Retention(segment_bytes=100)
    log = PartitionLog(tmp_path, retention)
    for number in range(4):
        append(log, [bytes([number]) * 90], number)
    log.close()
    whole = everything(log)
    for path in sorted(tmp_path.glob("*.log")):
        for place in (0, 10, 20, 30, 40):
            data = bytearray(path.read_bytes())
            data[place] ^= 16
            path.write_bytes(data)
            again = PartitionLog(tmp_path, retention)
            assert everything(again) == whole
            assert again.last.sequence == 3
            assert again.enforce_retention(now_ms=1_000) == 0
            again.close()
            assert SegmentHeader.decode(path.read_bytes()[:HEADER_SIZE])


def test_old_segments_are_dropped_by_size_and_by_age(tmp_path: Path) -> None:
    retention = Retention(max_age_ms=100, max_bytes=500, segment_bytes=200)
    log = PartitionLog(tmp_path, retention)
    for number in range(20):
        append(log, [bytes(50)], now_ms=number)
    assert log.begin_sequence == 0
    assert log.enforce_retention(now_ms=20) > 0
    assert 10 <= log.begin_sequence < 20
    begin = log.begin_sequence
    # A reader that was behind goes on with the oldest that is kept
    assert log.read(0, 1)[0].sequence == begin
    # By age even the newest goes, and the numbers and the last event's place stay known
    last = log.last
    log.enforce_retention(now_ms=1_000)
    assert log.is_empty
    assert log.begin_sequence == 20
    for each in (log, PartitionLog(tmp_path, retention)):
        assert each.last == last
        assert each.is_empty
    append(log, [b"next"], 1_001)
    assert everything(log) == [(20, b"next")]
    assert len(list(tmp_path.glob("*.log"))) == 1


def test_retention_works_while_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given old events in several segments, on a disk that has no room for another byte
    retention = Retention(max_age_ms=100, segment_bytes=200)
    log = PartitionLog(tmp_path, retention)
    for number in range(10):
        append(log, [bytes(50)], now_ms=number)
    last, end = log.last, log.end_offset

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    real_open, real_pwrite = os.open, os.pwrite

    def no_new_file(path: Any, flags: int, *more: Any) -> int:
        return refuse() if flags & os.O_CREAT else real_open(path, flags, *more)

    def no_growth(fd: int, data: Any, place: int) -> int:
        grows = place + len(data) > os.fstat(fd).st_size
        return refuse() if grows else real_pwrite(fd, data, place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", no_new_file)
        patch.setattr(os, "pwrite", no_growth)
        # When they are too old
        assert log.enforce_retention(now_ms=1_000) > 1
    # Then all their space is free, and the numbers go on
    (path,) = tmp_path.glob("*.log")
    assert path.stat().st_size == HEADER_SIZE
    log.close()
    for each in (log, PartitionLog(tmp_path, retention)):
        assert (each.last, each.end_offset, each.is_empty) == (last, end, True)
    append(each, [b"next"], 1_001)
    assert everything(each) == [(10, b"next")]
    each.close()


def test_a_death_while_a_segment_is_emptied_loses_no_number(tmp_path: Path) -> None:
    log = PartitionLog(tmp_path, Retention())
    append(log, [b"a", b"b"], 5)
    log.close()
    (path,) = tmp_path.glob("*.log")
    whole = path.read_bytes()
    new = tmp_path / segment_name(SegmentHeader(2, log.end_offset, log.last.offset, 5))
    for left in (whole, whole[:HEADER_SIZE]):
        path.unlink(missing_ok=True)
        new.write_bytes(left)
        again = PartitionLog(tmp_path, Retention())
        assert again.is_empty
        assert (again.last.sequence, again.end_offset) == (1, log.end_offset)
        append(again, [b"c"])
        assert everything(again) == [(2, b"c")]
        again.close()


def test_a_damaged_header_is_refused() -> None:
    header = SegmentHeader(1, 2, 3, 4)
    assert SegmentHeader.decode(header.encode() + b"more") == header
    for place in range(HEADER_SIZE):
        damaged = bytearray(header.encode())
        damaged[place] ^= 1
        with pytest.raises(LogCorruptError):
            SegmentHeader.decode(bytes(damaged))
