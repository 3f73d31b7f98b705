"""Follow the packets of a transport stream, which are numbered within their track.

Its demuxer searches for the next packet wherever one is damaged, and reports few losses.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from splitter.media.pes_header import START_BYTES, has_header, is_filled, length_of_rest
from splitter.media.program_map import TABLE, tracks_in
from splitter.media.walks import Walk

LAYOUTS: Final = ((188, 0), (192, 4), (204, 0))
"""The lengths of packets, and the position of the sync byte in each."""

_PACKET_BYTES: Final = 188
_SYNC: Final = ord("G")
_PROGRAMS, _FILLING = 0x0000, 0x1FFF
_AT_ONCE: Final = 1360
_PES_HEADER: Final = 6
_START_CODE: Final = b"\0\0\1"

_Bytes = NDArray[np.uint8]
_Numbers = NDArray[np.int64]


def layout_of(head: bytes) -> tuple[int, int] | None:
    """Return the `LAYOUTS` entry that fits a file's first bytes; None if none does."""
    for length, sync in LAYOUTS:
        places = [*range(sync, len(head), length)][:2]
        if len(places) > 1 and all(head[at] == _SYNC for at in places):
            return length, sync
    return None


def walk_transport_stream(length: int, sync: int) -> Walk:
    """Request a stream's packets; return whether all tracks are complete.

    The end of the file comes as an `EOFError` with the bytes that are left.
    """
    tracks: dict[int, _Track] = {}
    while True:
        try:
            block, is_last = (yield length * _AT_ONCE), False
        except EOFError as end:
            block, is_last = end.args[0], True
        whole = len(block) // length * length
        rows = np.frombuffer(block[:whole], np.uint8).reshape(-1, length)
        if not _are_in_order(rows[:, sync : sync + _PACKET_BYTES], tracks):
            return False
        if is_last:
            return not any(track.awaits for track in tracks.values())


@dataclass(slots=True)
class _Track:
    """The state of one track: its counter, and how much its last packet lacks."""

    is_media: bool
    """Whether it carries packets of video, sound or text, which begin with a start code."""
    counter: int | None = None
    had_tables: bool = False
    """Whether the table of programs came after its last packet."""
    awaits: int | None = None
    """Bytes that its last packet lacks; None if that does not give its length."""
    table: bytes = b""
    """The last packet of a table, without its counter."""
    kinds: dict[int, int] = field(default_factory=dict)
    """What kind of content each track has that the table lists."""


def _are_in_order(rows: _Bytes, tracks: dict[int, _Track]) -> bool:
    if (rows[:, 0] != _SYNC).any() or (rows[:, 1] & 0x80).any():
        return False
    numbers = (rows[:, 1].astype(np.int64) & 0x1F) << 8 | rows[:, 2]
    tables = np.flatnonzero(numbers == _PROGRAMS)
    has_payload = (rows[:, 3] & 0x10) > 0
    # (In the sandbox, numpy.unique would fail to import a module that is not loaded yet.)
    for number in np.flatnonzero(np.bincount(numbers)).tolist():
        if number in (_PROGRAMS, _FILLING):
            continue
        places = np.flatnonzero((numbers == number) & has_payload)
        if len(places) and not _is_continued(rows, places, tables, number, tracks):
            return False
    for number, track in tracks.items():
        if len(tables) and not (numbers == number).any():
            track.had_tables = True
    return True


def _is_continued(
    rows: _Bytes, places: _Numbers, tables: _Numbers, number: int, tracks: dict[int, _Track]
) -> bool:
    own = rows[places]
    begins = np.where(own[:, 3] & 0x20, 5 + own[:, 4].astype(np.int64), 4)
    if (begins > _PACKET_BYTES).any():
        return False
    is_start = ((own[:, 1] & 0x40) > 0) & (begins <= _PACKET_BYTES - _PES_HEADER)
    track = tracks.get(number)
    if track is None:
        if not is_start.any():
            return True
        # (What began before the file is ignored.)
        first = int(is_start.argmax())
        own, begins, places = own[first:], begins[first:], places[first:]
        is_start = is_start[first:]
        track = tracks[number] = _Track(is_media=_code(own[0], begins[0]) == 1)
    if not track.is_media:
        return _keeps_kinds(own[is_start], begins[is_start], track)
    steps = _steps(own, track)
    if not _counts_on(own, places, is_start, steps, tables, track):
        return False
    # (A packet may be sent twice.)
    is_new = steps > 0
    own, begins, is_start = own[is_new], begins[is_new], is_start[is_new]
    sizes = np.maximum(_PACKET_BYTES - begins, 0)
    edges = sorted({0, *np.flatnonzero(is_start).tolist(), len(own)})
    for at, until in itertools.pairwise(edges):
        size = int(sizes[at:until].sum())
        if at < len(own) and is_start[at]:
            if track.awaits or not _begins_packet(own[at, begins[at] :].tobytes()):
                return False
            length = int.from_bytes(own[at, begins[at] + 4 : begins[at] + _PES_HEADER].tobytes())
            track.awaits = length + _PES_HEADER if length else None
        if track.awaits is not None:
            track.awaits -= size
    return True


def _keeps_kinds(rows: _Bytes, begins: _Numbers, track: _Track) -> bool:
    """Return whether tables of a program do not change the codec of one of its tracks.

    Demuxers take what follows for the codec that the track began with.
    """
    for row, begin in zip(rows, begins.tolist(), strict=True):
        payload = row[begin:].tobytes()
        if payload == track.table:
            continue
        track.table = payload
        table = payload[1 + payload[0] :]
        if table[:1] == bytes([TABLE]) and any(
            track.kinds.setdefault(number, kind) != kind for number, kind in tracks_in(table)
        ):
            return False
    return True


def _begins_packet(payload: bytes) -> bool:
    """Return whether a payload begins with the header of a packet, as far as it reaches."""
    if payload[:3] != _START_CODE:
        return False
    start = payload[_PES_HEADER : _PES_HEADER + START_BYTES]
    size = length_of_rest(start) if has_header(payload[3]) and len(start) == START_BYTES else None
    rest = payload[_PES_HEADER + START_BYTES :][:size]
    return size is None or is_filled(start[1], rest, size - len(rest))


def _code(row: _Bytes, begin: int) -> int:
    return int.from_bytes(row[begin : begin + 3].tobytes())


def _steps(own: _Bytes, track: _Track) -> _Numbers:
    counters = (own[:, 3] & 15).astype(np.int64)
    first = counters[0] - 1 if track.counter is None else track.counter
    track.counter = int(counters[-1])
    return np.diff(counters, prepend=first) & 15


def _counts_on(
    own: _Bytes,
    places: _Numbers,
    is_start: NDArray[np.bool_],
    steps: _Numbers,
    tables: _Numbers,
    track: _Track,
) -> bool:
    """Return whether a track's counter jumps only where another recording was appended.

    An appended recording begins with tables of its own, and with a new packet of each track.
    """
    announced = ((own[:, 3] & 0x20) > 0) & (own[:, 4] > 0) & ((own[:, 5] & 0x80) > 0)
    since = np.searchsorted(tables, places)
    before = -1 if track.had_tables else 0
    appended = is_start & (np.diff(since, prepend=before) > 0)
    track.had_tables = bool(since[-1] < len(tables))
    return bool(((steps <= 1) | announced | appended).all())
