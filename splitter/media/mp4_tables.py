"""Check whether the tables of an MP4 track agree with one another, and with the file.

Each of them counts the same samples in another way: by size, by decoding time, by presentation
time, and by the chunks that hold them. A demuxer reads what it finds by all of them together, so a
damaged number in one of them silently costs samples.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

_ENTRIES: Final = {
    name: struct.Struct(layout)
    for name, layout in (
        (b"stts", ">II"),
        (b"ctts", ">II"),
        (b"stsc", ">III"),
        (b"stco", ">I"),
        (b"co64", ">Q"),
    )
}
_HEAD_BYTES: Final = 8
"""Each table begins with its version, its flags, and how many entries it has."""
_ODD_SHARE: Final = 4
_NEGATIVE: Final = 1 << 31
"""A shift is a signed number, except in old files, where it is never this large."""


def are_in_order(tables: Mapping[bytes, bytes], size: int) -> bool:
    """Return whether the boxes of an ``stbl`` are consistent in a file of ``size`` bytes.

    Those of a fragmented file are empty, and therefore consistent.
    """
    shifts, steps = list(entries(tables, b"ctts")), list(entries(tables, b"stts"))
    places = [place for name in (b"stco", b"co64") for (place,) in entries(tables, name)]
    counts = {count_by_size(tables), count_by_time(tables)}
    if shifts:
        counts.add(sum(count for count, _ in shifts))
    return (
        len(counts) == 1
        and all(place < size for place in places)
        and all(is_full(tables[name], _ENTRIES[name]) for name in _ENTRIES.keys() & tables.keys())
        and _are_in_chunks(tables, len(places))
        and _are_steady(shifts, steps)
    )


def entries(tables: Mapping[bytes, bytes], name: bytes) -> Iterator[tuple[int, ...]]:
    """Yield the entries of a table, as many as it counts and actually has."""
    table, entry = tables.get(name, b""), _ENTRIES[name]
    count = min(_count(table), (len(table) - _HEAD_BYTES) // entry.size)
    yield from entry.iter_unpack(table[_HEAD_BYTES : _HEAD_BYTES + max(count, 0) * entry.size])


def is_full(table: bytes, entry: struct.Struct) -> bool:
    """Return whether a table has exactly as many entries as it says."""
    return (len(table) - _HEAD_BYTES) // entry.size == _count(table)


def count_by_size(tables: Mapping[bytes, bytes]) -> int:
    """Return the number of samples in a track's table of sizes."""
    return int.from_bytes(tables.get(b"stsz", tables.get(b"stz2", b""))[8:12], "big")


def count_by_time(tables: Mapping[bytes, bytes]) -> int:
    """Return the number of samples in a track's table of durations."""
    return sum(count for count, _ in entries(tables, b"stts"))


def length(tables: Mapping[bytes, bytes]) -> int:
    """Return how many ticks a track's samples last."""
    return sum(count * step for count, step in entries(tables, b"stts"))


def first_shift(tables: Mapping[bytes, bytes]) -> int:
    """Return how many ticks after its decoding a track's first sample is shown."""
    return next((shift for _, shift in entries(tables, b"ctts")), 0)


def shown_until(tables: Mapping[bytes, bytes]) -> int:
    """Return when the display of the last sample ends, in ticks after the first one's decoding.

    That is later than all samples last if some are missing: where a video was cut between pictures
    that are stored in another order than they are shown.
    """
    steps, left, step = entries(tables, b"stts"), 0, 0
    decoded = latest = 0
    for samples, shift in entries(tables, b"ctts"):
        count = samples
        while count:
            if not left:
                left, step = next(steps, (count, step))
            passed = min(count, left)
            decoded, left, count = decoded + passed * step, left - passed, count - passed
        latest = max(latest, decoded + (shift if shift < _NEGATIVE else shift - 2 * _NEGATIVE))
    return latest or length(tables)


def _count(table: bytes) -> int:
    return int.from_bytes(table[4:8], "big")


def _are_in_chunks(tables: Mapping[bytes, bytes], chunks: int) -> bool:
    """Return whether runs of chunks hold all samples, each with an existing description.

    The demuxer skips samples in chunks whose description is not the first one.
    """
    runs, samples = list(entries(tables, b"stsc")), count_by_size(tables)
    if not samples:
        return True
    firsts = [first for first, _, _ in runs] + [chunks + 1]
    if firsts[0] != 1 or any(next_ <= first for first, next_ in pairwise(firsts)):
        return False
    held = sum(
        (next_ - first) * each
        for (first, next_), (_, each, _) in zip(pairwise(firsts), runs, strict=True)
    )
    described = _count(tables.get(b"stsd", b""))
    return held == samples and all(1 <= description <= described for *_, description in runs)


def _are_steady(shifts: list[tuple[int, ...]], steps: list[tuple[int, ...]]) -> bool:
    """Return whether frames at a constant rate are shown at whole steps from one another.

    If many are not, that is intended; if only a few are not, those were damaged.
    """
    if not steps or not steps[0][1] or sum(count for count, _ in steps[1:]) > 1:
        return True  # (only the last frame's step may differ)
    places: Counter[int] = Counter()
    for count, shift in shifts:
        places[shift % steps[0][1]] += count
    usual = max(places.values(), default=0)
    return not 0 < (places.total() - usual) * _ODD_SHARE <= usual
