"""Follow the fragments of an MP4: its demuxer silently stops where they are not contiguous.

A fragmented file has an index (``moov``) that only describes the tracks; each fragment has an index
of its own (``moof``), followed by the samples (``mdat``). Files with a single index are not judged
here but by `mp4_index`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from splitter.media.mp4_index import boxes_of, descriptions_of, is_damaged_name
from splitter.media.walks import Walk

_HEADER_BYTES: Final = 8
_LONG, _TO_THE_END = 1, 0
_MOST_INDEX_BYTES: Final = 16 * 1024 * 1024
_BESIDE: Final = frozenset(
    b"ftyp styp moov moof mdat sidx ssix mfra free skip wide uuid meta emsg prft pdin".split()
)
"""The boxes that a fragmented file consists of."""

_IN_FRAGMENTS: Final = frozenset(
    b"mfhd traf tfhd tfdt trun saiz saio sbgp sgpd csgp subs senc pssh uuid meta udta free "
    b"skip".split()
)
_DEFAULTS: Final = struct.Struct(">4I")
_PLACE, _DESCRIPTION, _DURATION, _SIZE = 0x1, 0x2, 0x8, 0x10
_TRACK_FIELDS: Final = {_PLACE: "Q", _DESCRIPTION: "I", _DURATION: "I", _SIZE: "I", 0x20: "I"}
"""The optional fields of a ``tfhd``, by flag; the unnamed one holds sample flags."""
_FROM_INDEX: Final = 0x20000
"""The flag of a ``tfhd`` whose runs tell how far from the fragment's index they are."""
_RUN_OFFSET, _RUN_FLAGS = 0x1, 0x4
_SAMPLE_DURATION, _SAMPLE_SIZE = 0x100, 0x200
_RUN_FIELDS: Final = (_SAMPLE_DURATION, _SAMPLE_SIZE, 0x400, 0x800)
"""The optional fields of each sample in a run: duration, size, flags and composition offset."""


def walk_mp4() -> Walk:
    """Request an MP4's boxes; return whether its fragments are whole and contiguous."""
    fragments = _Fragments()
    end = 0
    try:
        while True:
            begin, content = end, end + _HEADER_BYTES
            header = yield _HEADER_BYTES
            size, name = int.from_bytes(header[:4], "big"), header[4:]
            if size == _LONG:
                size = int.from_bytes((yield 8), "big")
                content += _HEADER_BYTES
            end = begin + size
            length = end - content
            if fragments.present and name not in _BESIDE:
                return False
            if size == _TO_THE_END:
                return True
            if length < 0:
                return not fragments.present
            if name in (b"moov", b"moof") and length <= _MOST_INDEX_BYTES:
                if not fragments.take(name, begin, (yield length)):
                    return False
            elif name == b"mdat" and not fragments.fill(content, end):
                return False
            else:
                yield -length
    except EOFError as end:
        left, beyond = end.args
        return not fragments.present or not (left or beyond or fragments.is_incomplete)


_LATEST: Final = 2**62
"""The demuxer passes over fragments at times that a signed number of 64 bits does not hold."""
_OVERLAP: Final = 4
"""A fragment that begins within the first quarter of the one before it has a wrong time."""


@dataclass(slots=True)
class _Track:
    """The defaults of a track's samples, and the timing of its last fragment.

    The demuxer skips samples whose description is not ``readable``. A fragment cannot begin before
    ``goes_on``, and should begin where the last one ``ends``.
    """

    readable: frozenset[int]
    description: int
    duration: int
    size: int
    goes_on: int = 0
    ends: int | None = None


@dataclass(slots=True)
class _Fragments:
    """The fragments of a file, in stored order."""

    present: bool = False
    _tracks: dict[int, _Track] = field(default_factory=dict)
    _awaited: int = 0
    """Bytes of samples that the last index promised and that have not come yet."""
    _places: list[tuple[int, int]] = field(default_factory=list)
    """Where their runs begin and end, by that index."""
    _number: int | None = None
    _steps: int = 0
    _leaps: int = 0
    _joints: int = 0
    _overlaps: int = 0

    @property
    def is_incomplete(self) -> bool:
        """Whether samples are missing, fragment numbers skip one, or fragments overlap.

        (If most of them do, numbers or times mean something else.)
        """
        leaps = 0 < self._leaps <= self._steps // 2
        return self._awaited > 0 or leaps or 0 < self._overlaps <= self._joints // 2

    def take(self, name: bytes, at: int, content: bytes) -> bool:
        """Process the index of the file or of a fragment, at an offset; return if it is whole."""
        if name == b"moov":
            self._learn(content)
            return True
        if self._awaited or not _is_filled(content):
            return False
        try:
            self._count(dict(boxes_of(content))[b"mfhd"])
            self._places = []
            self._awaited = sum(
                self._take_track(traf, at) for kind, traf in boxes_of(content) if kind == b"traf"
            )
        except (LookupError, ValueError, struct.error):
            return False
        runs = sorted(self._places)
        return all(end <= begin for (_, end), (begin, _) in pairwise(runs))

    def fill(self, begin: int, end: int) -> bool:
        """Count the samples between two offsets; return whether they were promised there."""
        if self._number is not None:
            self._awaited -= end - begin
            self._places = [run for run in self._places if run[0] < begin or end < run[1]]
        return self._awaited > 0 or (self._awaited == 0 and not self._places)

    def _learn(self, moov: bytes) -> None:
        extends = dict(boxes_of(moov)).get(b"mvex")
        if extends is None:
            return
        self.present = True
        codecs = descriptions_of(moov)
        for name, box in boxes_of(extends):
            if name == b"trex" and len(box) >= 4 + _DEFAULTS.size:
                track, *defaults = _DEFAULTS.unpack_from(box, 4)
                self._tracks[track] = _Track(_readable(codecs.get(track, [])), *defaults)

    def _count(self, header: bytes) -> None:
        (number,) = struct.unpack_from(">I", header, 4)
        if self._number is not None:
            self._steps += 1
            self._leaps += number != self._number + 1
        self._number = number

    def _take_track(self, traf: bytes, at: int) -> int:
        """Process a track's part of the fragment at an offset; return its samples' bytes.

        Raises:
            LookupError: the track is unknown, or the part has no header.
            ValueError: it begins at an impossible time, or its description cannot be read.
            struct.error: its lengths do not add up.
        """
        contents = dict(boxes_of(traf))
        header = contents[b"tfhd"]
        flags, number = struct.unpack_from(">II", header)
        track = self._tracks[number]
        given = _tfhd_fields(flags, header[8:])
        duration, size = given.get(_DURATION, track.duration), given.get(_SIZE, track.size)
        if given.get(_DESCRIPTION, track.description) not in track.readable:
            raise ValueError
        runs = [_run(run, duration, size) for kind, run in boxes_of(traf) if kind == b"trun"]
        follows = self._places and not flags & _FROM_INDEX
        place = end = given.get(_PLACE, self._places[-1][1] if follows else at)
        for run in runs:
            begin = end if run.place is None else place + run.place
            end = begin + run.size
            if run.size:
                self._places.append((begin, end))
        if time := contents.get(b"tfdt"):
            (begin,) = struct.unpack_from(">Q" if time[0] else ">I", time, 4)
            self._place(
                track, begin, sum(run.duration for run in runs), sum(run.samples for run in runs)
            )
        return sum(run.size for run in runs)

    def _place(self, track: _Track, begin: int, length: int, samples: int) -> None:
        """Process the start of a fragment whose samples last ``length`` ticks.

        Raises:
            ValueError: it cannot begin then.
        """
        if begin < track.goes_on or begin > _LATEST:
            raise ValueError
        track.goes_on = begin + length // _OVERLAP
        if track.ends is not None:
            self._joints += 1
            # (Less than a sample is rounding, or how an encoder joins its inputs.)
            self._overlaps += (track.ends - begin) * samples > length
        track.ends = begin + length


def _readable(codecs: list[bytes]) -> frozenset[int]:
    """Return the numbers of a track's descriptions that the demuxer reads: those of one codec."""
    return frozenset(n for n, codec in enumerate(codecs, start=1) if codec == codecs[0])


def _tfhd_fields(flags: int, values: bytes) -> dict[int, int]:
    """Return the fields of a ``tfhd`` that apply to all samples of a track, by flag.

    Raises:
        struct.error: there are more or fewer than its flags say.
    """
    fields = {name: layout for name, layout in _TRACK_FIELDS.items() if flags & name}
    words: tuple[int, ...] = struct.unpack(f">{''.join(fields.values())}", values)
    return dict(zip(fields, words, strict=True))


class _Run(NamedTuple):
    """A run's number of samples, their total duration in ticks and their total size in bytes.

    ``place`` is how far it is from where its track's samples are; by default it follows the last.
    """

    place: int | None
    samples: int
    duration: int
    size: int


def _run(run: bytes, duration: int, size: int) -> _Run:
    """Return the totals of a run.

    ``duration`` and ``size`` are those of samples for which the run does not give any.

    Raises:
        struct.error: its own length does not fit its number of samples.
    """
    flags, count = struct.unpack_from(">II", run)
    place = struct.unpack_from(">i", run, 8)[0] if flags & _RUN_OFFSET else None
    at = 8 + 4 * bool(flags & _RUN_OFFSET) + 4 * bool(flags & _RUN_FLAGS)
    fields = [name for name in _RUN_FIELDS if flags & name]
    if len(run) != at + 4 * len(fields) * count:
        raise struct.error
    words: tuple[int, ...] = struct.unpack_from(f">{len(fields) * count}I", run, at)
    totals = {name: sum(words[place :: len(fields)]) for place, name in enumerate(fields)}
    duration, size = duration * count, size * count
    return _Run(
        place, count, totals.get(_SAMPLE_DURATION, duration), totals.get(_SAMPLE_SIZE, size)
    )


def _is_filled(moof: bytes) -> bool:
    """Return whether the boxes of a fragment's index fill it, and none has a damaged name."""
    tracks = [content for name, content in boxes_of(moof) if name == b"traf"]
    return all(not is_damaged_name(name, _IN_FRAGMENTS) for name in _names(moof)) and all(
        _length(content) == len(content) for content in (moof, *tracks)
    )


def _names(moof: bytes) -> Iterator[bytes]:
    for name, content in boxes_of(moof):
        yield name
        if name == b"traf":
            yield from (inner for inner, _ in boxes_of(content))


def _length(content: bytes) -> int:
    return sum(len(box) + _HEADER_BYTES for _, box in boxes_of(content))
