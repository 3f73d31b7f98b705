"""The log of a partition: committed events survive, wherever the process died."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from unit.eventhubs.log.logs import append, everything

from local.eventhubs.log.files import segment_name
from local.eventhubs.log.partition import PartitionLog, Retention
from local.eventhubs.log.segment import (
    HEADER_SIZE,
    SegmentHeader,
)


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


def test_a_clock_that_was_far_ahead_for_a_while_spoils_neither_times_nor_retention(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    day = 24 * 3_600_000
    retention = Retention(max_age_ms=day, segment_bytes=200)
    log = PartitionLog(tmp_path, retention)
    append(log, [bytes(50)] * 3, now_ms=1000)
    append(log, [bytes(50)] * 3, now_ms=300_000 * day)
    # When it is set right, events have its times again, also those of a process that comes later
    append(log, [bytes(50)] * 3, now_ms=2000)
    log = PartitionLog(tmp_path, retention)
    append(log, [b"latest"], now_ms=3000)
    assert log.last.enqueued_ms == 3000
    assert "the clock was set back by" in caplog.text
    # Whoever asks for what came since gets it, and maybe what was stamped wrongly as well
    since = log.read(log.offset_from_time(2000, inclusive=True), 10)
    assert [event.sequence for event in since][-4:] == [6, 7, 8, 9]
    # A small step back is none: times do not run backwards
    append(log, [b"later"], now_ms=2500)
    assert log.last.enqueued_ms == 3000
    # And what is too old goes, whatever it was stamped with
    log.enforce_retention(now_ms=3 * day)
    assert log.is_empty


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


def test_a_segment_that_cannot_be_emptied_yet_keeps_what_is_written_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an old event, and a process that may open no more files when it is to be dropped
    retention = Retention(max_age_ms=100)
    log = PartitionLog(tmp_path, retention)
    append(log, [b"old"], 1)

    def too_many(path: Any, flags: int, *more: Any) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", too_many)
        with pytest.raises(OSError, match="too many open files"):
            log.enforce_retention(now_ms=1_000)
    # When another event comes, and the broker is started again
    append(log, [b"new"], 1_001)
    assert everything(log)[-1] == (1, b"new")
    log.close()
    again = PartitionLog(tmp_path, retention)
    # Then it is there
    assert everything(again)[-1] == (1, b"new")
    again.close()


@pytest.mark.parametrize("call", ["ftruncate", "fsync", "pwrite"])
def test_a_segment_that_could_not_be_emptied_completely_keeps_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    # Given a disk that fails while a segment is emptied
    retention = Retention(max_age_ms=100)
    log = PartitionLog(tmp_path, retention)
    append(log, [b"old", b"old"], 1)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="input/output error"):
            log.enforce_retention(now_ms=1_000)
    # When another event comes, and the broker is started again
    append(log, [b"new"], 1_001)
    before = everything(log)
    log.close()
    again = PartitionLog(tmp_path, retention)
    # Then it is there, with its number
    assert before == everything(again)
    assert before[-1] == (2, b"new")
    again.close()
