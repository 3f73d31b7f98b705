"""What a partition's log loses when its files are damaged: only the damaged records."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.eventhubs.log.logs import append, everything

from local.eventhubs.errors import LogCorruptError
from local.eventhubs.log.partition import PartitionLog, Retention
from local.eventhubs.log.segment import (
    HEADER_SIZE,
    RECORD_HEADER_SIZE,
    SegmentHeader,
    decode_records,
    encode_record,
    sample_records,
)


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
@settings(max_examples=40)
def test_a_flipped_bit_costs_its_own_event_and_no_other(
    flipped_bits: FlippedBits, bit: int
) -> None:
    flipped_bits.check(bit % flipped_bits.count)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_flipped_bit_costs_its_own_event_and_no_other(flipped_bits: FlippedBits) -> None:
    for bit in range(flipped_bits.count):
        flipped_bits.check(bit)


@given(st.integers(0, 10**6))
@settings(max_examples=100)
def test_samples_are_records_whatever_is_damaged_between_them(bit: int) -> None:
    data = b"".join(encode_record(n, n, None, bytes([n]) * (n % 50)) for n in range(100))
    stored = {event.offset: event for event in decode_records(data, 7)}
    whole = [event.offset for event in sample_records(data, 7, 300)]
    assert whole[0] == 7
    assert all(300 <= b - a < 376 for a, b in itertools.pairwise(whole))
    damaged = bytearray(data)
    damaged[bit // 8 % len(data)] ^= 1 << bit % 8
    samples = list(sample_records(bytes(damaged), 7, 300))
    assert [stored[event.offset] for event in samples] == samples
    assert samples == sorted(samples, key=lambda event: event.offset)


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


def test_a_damaged_header_is_refused() -> None:
    header = SegmentHeader(1, 2, 3, 4)
    assert SegmentHeader.decode(header.encode() + b"more") == header
    for place in range(HEADER_SIZE):
        damaged = bytearray(header.encode())
        damaged[place] ^= 1
        with pytest.raises(LogCorruptError):
            SegmentHeader.decode(bytes(damaged))
