"""Count what the index of an MP4 promises for each of its tracks.

The demuxer accepts an index whose parts contradict each other, and reads what it can find by it.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from splitter.media import mp4_tables

_MOST_BYTES: Final = 64 * 1024 * 1024
_EDITED_AWAY: Final = -1
_LONG: Final = 1
_BOX_HEADER: Final = 8
_TRACK_HEADER: Final = 24
_PARENTS: Final = (b"trak", b"edts", b"mdia", b"minf", b"stbl")
_HEADERS: Final = {b"mvhd": (100, 112), b"tkhd": (84, 96), b"mdhd": (24, 36)}
"""The least lengths of headers, with times of 32 and of 64 bits."""
_CLOCKS: Final = 10
"""A movie's ticks per second are a multiple of this, such as 600 or 90000, or divide a track's."""
_PRIMING: Final = 4
"""Up to a quarter of a second of sound precedes the first that is meant to be heard."""
_BEYOND: Final = 10
"""An edit that ends later than its track by more than a tenth of a second begins too late."""
_NAMES: Final = frozenset(
    b"mvhd trak mvex iods udta meta cmov clip tkhd edts elst tref tapt load mdia mdhd hdlr elng "
    b"minf vmhd smhd hmhd nmhd sthd gmhd dinf stbl stsd stts ctts cslg stsc stsz stz2 stco co64 "
    b"stss stps stsh stdp sdtp padb subs sbgp sgpd csgp saiz saio uuid free skip wide".split()
)
"""The boxes of an index. Demuxers skip boxes with other names."""


@dataclass(frozen=True, slots=True)
class Mp4Index:
    """What the index of an MP4 promises.

    ``counts`` is how many packets each track should present at least, by the track's identifier.
    Tracks of which an edit list shows only a part are left out, as are fragmented files and PCM.
    """

    counts: Mapping[int, int] = field(default_factory=dict)
    is_whole: bool = True
    """Whether it is complete and its boxes are consistent."""


def read_index(file: BinaryIO, size: int) -> Mp4Index:
    """Read the index of an MP4 of ``size`` bytes; an empty one if it has none."""
    for kind, begin, end in _boxes_of_file(file, size):
        if kind == b"moov" and end - begin <= _MOST_BYTES:
            file.seek(begin)
            moov = file.read(end - begin)
            is_whole = end <= size and _is_filled(moov, size)
            is_whole = is_whole and not (_has_odd_clock(moov) or _has_odd_edits(moov))
            return Mp4Index(_tracks(moov), is_whole)
    return Mp4Index()


def find_fragments(file: BinaryIO, size: int) -> int:
    """Return where the first fragment begins in an MP4 of ``size`` bytes; ``size`` if none does.

    The file's position is restored.
    """
    position = file.tell()
    boxes = _boxes_of_file(file, size)
    found = next((begin for kind, begin, _ in boxes if kind == b"moof"), size)
    file.seek(position)
    return found


def _is_filled(data: bytes, size: int) -> bool:
    """Return whether boxes fill their parent to its end, and none is damaged."""
    filled = 0
    for kind, content in boxes_of(data):
        filled += int.from_bytes(data[filled : filled + 4], "big")
        if is_damaged_name(kind, _NAMES) or (kind in _PARENTS and not _is_filled(content, size)):
            return False
        if kind == b"stbl" and not mp4_tables.are_in_order(dict(boxes_of(content)), size):
            return False
        if kind in _HEADERS and len(content) < _HEADERS[kind][content[:1] == b"\1"]:
            return False
        if kind == b"elst" and not mp4_tables.is_full(content, _edit_of(content)):
            return False
    return filled == len(data)


def is_damaged_name(name: bytes, names: Collection[bytes]) -> bool:
    """Return whether a name is one letter away from a known one, unlike vendors' own names."""
    return name not in names and any(sum(map(int.__ne__, name, known)) == 1 for known in names)


def _boxes_of_file(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    while at + _BOX_HEADER <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        skip = _BOX_HEADER
        if length == _LONG:
            length, skip = int.from_bytes(header[8:16], "big"), 16
        elif length == 0:
            length = size - at
        if length < skip:
            return
        yield kind, at + skip, at + length
        at += length


def _tracks(moov: bytes) -> dict[int, int]:
    boxes = dict(boxes_of(moov))
    if b"mvex" in boxes:
        return {}
    movie_ticks = _ticks_and_length(boxes.get(b"mvhd", b""))[0]
    found = {}
    for track, media in _described(moov):
        table = _tables_of(media)
        _, length = _ticks_and_length(media.get(b"mdhd", b""))
        hidden = _hidden_of(track, media, movie_ticks)
        header = track.get(b"tkhd", b"")
        sizes = table.get(b"stsz", table.get(b"stz2", b""))
        # (PCM is not stored in packets: each of its samples has an entry, all of one size.)
        if hidden is None or len(header) < _TRACK_HEADER or not length or any(sizes[4:8]):
            continue
        identifier = _identifier(header)
        # The counts of sizes and of durations must confirm each other.
        samples = mp4_tables.count_by_size(table)
        if samples == mp4_tables.count_by_time(table):
            found[identifier] = samples - -(-hidden * samples // length)
    return found


def descriptions_of(moov: bytes) -> dict[int, list[bytes]]:
    """Return the codecs in the sample descriptions of each track, by the track's identifier."""
    return {
        _identifier(track.get(b"tkhd", b"")): [
            name for name, _ in boxes_of(_tables_of(media).get(b"stsd", b"")[8:])
        ]
        for track, media in _described(moov)
    }


def _identifier(header: bytes) -> int:
    return int.from_bytes(header[20:24] if header[:1] == b"\1" else header[12:16], "big")


def _has_odd_clock(moov: bytes) -> bool:
    """Return whether edit lists cut all tracks short by a clock that a muxer would not choose.

    If the number of the clock's ticks was damaged, the same edits show less of the tracks.
    """
    clock, _ = _ticks_and_length(dict(boxes_of(moov)).get(b"mvhd", b""))
    tracks = list(_described(moov))
    rates = [_ticks_and_length(media.get(b"mdhd", b""))[0] for _, media in tracks]
    if clock % _CLOCKS == 0 or any(rate % clock == 0 for rate in rates):
        return False
    return bool(tracks) and all(_hidden_of(*track, clock) is None for track in tracks)


def _has_odd_edits(moov: bytes) -> bool:
    """Return whether an edit list shows another part of a track than the headers allow."""
    boxes = dict(boxes_of(moov))
    clock, _ = _ticks_and_length(boxes.get(b"mvhd", b""))
    tracks = () if b"mvex" in boxes else _described(moov)
    return any(_has_odd_edit(track, media, clock) for track, media in tracks)


def _has_odd_edit(track: Mapping[bytes, bytes], media: Mapping[bytes, bytes], clock: int) -> bool:
    """Return whether the only edit of a track hides all of it, or a part that should be shown.

    The track's header gives the duration of what is shown: if it is all, the end cannot be hidden.
    An edit that hides the beginning ends where the track does. Trimming a video changes all of
    these together. Sound may begin with some that is never meant to be heard.
    """
    header, tables = track.get(b"tkhd", b""), _tables_of(media)
    edit = _only_edit(dict(boxes_of(track.get(b"edts", b""))).get(b"elst", b""))
    ticks, said = _ticks_and_length(media.get(b"mdhd", b""))
    length = mp4_tables.length(tables)
    if edit is None or not length:
        return False
    duration, begin = edit
    promised = int.from_bytes(header[28:36] if header[:1] == b"\1" else header[20:24], "big")
    shown, rest, whole = duration * ticks, (length - begin) * clock, length * clock
    # (A duration of zero means all there is.)
    is_cut = 0 < shown < rest - ticks <= promised * ticks <= whole + ticks
    hidden = begin - mp4_tables.first_shift(tables)
    is_sound = media.get(b"hdlr", b"")[8:12] == b"soun"
    allowed = ticks // _PRIMING if is_sound else 0
    is_late = hidden > allowed and _is_beyond(shown + begin * clock, tables, ticks, clock)
    # (A picture may be shown for longer than its samples last, but sound may not be.)
    is_odd = (is_sound and shown > 2 * whole) or (
        length > 2 * said > 0 and shown <= said * clock <= 2 * shown
    )
    return begin >= length or is_cut or is_late or is_odd


def _is_beyond(end: int, tables: Mapping[bytes, bytes], ticks: int, clock: int) -> bool:
    """Return whether an edit ends long after its track, ``end`` in ticks of both clocks."""
    return (end - mp4_tables.shown_until(tables) * clock) * _BEYOND > ticks * clock


def _described(moov: bytes) -> Iterator[tuple[dict[bytes, bytes], dict[bytes, bytes]]]:
    """Yield the boxes of each track, and those that describe its media."""
    for kind, trak in boxes_of(moov):
        if kind == b"trak":
            track = dict(boxes_of(trak))
            yield track, dict(boxes_of(track.get(b"mdia", b"")))


def _tables_of(media: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return dict(boxes_of(dict(boxes_of(media.get(b"minf", b""))).get(b"stbl", b"")))


def boxes_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each box in ``data``, as far as there are whole headers."""
    at = 0
    while at + _BOX_HEADER <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < _BOX_HEADER:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _ticks_and_length(header: bytes) -> tuple[int, int]:
    """Return the ticks a second and the length in ticks of an ``mvhd`` or ``mdhd`` box."""
    layout, at = (">IQ", 20) if header[:1] == b"\1" else (">II", 12)
    if len(header) < at + struct.calcsize(layout):
        return 0, 0
    ticks, length = struct.unpack_from(layout, header, at)
    return ticks, length


def _hidden_of(
    track: Mapping[bytes, bytes], media: Mapping[bytes, bytes], movie_ticks: int
) -> int | None:
    """Return how many ticks of a track's beginning its edit list hides; None if it does more."""
    ticks, length = _ticks_and_length(media.get(b"mdhd", b""))
    edits = dict(boxes_of(track.get(b"edts", b""))).get(b"elst", b"")
    if not edits:
        return 0
    edit = _only_edit(edits)
    if edit is None or not movie_ticks:
        return None
    duration, begin = edit
    # (A duration of zero means all there is.)
    reaches = (duration + 1) * ticks >= (length - begin) * movie_ticks
    return begin if reaches or not duration else None


def _only_edit(edits: bytes) -> tuple[int, int] | None:
    """Return for how long and from when an edit list shows a track; None if not in one piece."""
    entry = _edit_of(edits)
    count = int.from_bytes(edits[4:8], "big")
    if len(edits) < 8 + count * entry.size:
        return None
    shown = [entry.unpack_from(edits, 8 + number * entry.size) for number in range(count)]
    shown = [edit for edit in shown if edit[1] != _EDITED_AWAY]
    return shown[0][:2] if len(shown) == 1 else None


def _edit_of(edits: bytes) -> struct.Struct:
    """Return the layout of an edit: its duration, its start in the track, and its rate."""
    return struct.Struct(">QqI" if edits[:1] == b"\1" else ">IiI")
