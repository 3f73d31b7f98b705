"""Follow the packets of an ASF file: its demuxer silently skips what does not fit.

A file is a header, which lists the tracks, and packets of one size. Packets carry payloads, each a
part of an object: a picture, or some sound. Objects are numbered within their track, and each part
gives its offset in its object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from splitter.media.walks import Walk

_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_TRACK_PROPERTIES: Final = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_DATA: Final = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_HEADER_BYTES, _DATA_HEADER_BYTES = 30, 50
_MOST_HEADER_BYTES: Final = 16 * 1024 * 1024
_PACKET_SIZES_AT, _TRACK_NUMBER_AT = 92, 72
_COMPRESSED: Final = 1
"""The length of a payload's extra data that marks the compressed layout: several small objects."""
_OBJECT_SIZE_BYTES: Final = 4
_UNNUMBERED_SHARE: Final = 4
"""If more than one step in so many is not to the next number, numbers mean something else."""


def walk_asf() -> Walk:
    """Request an ASF file's bytes; return whether all of its objects are complete.

    What cannot be followed (packets of several sizes, a huge header) is not judged, nor is a file
    that ends too soon: its header gives its size, which `file_end` checks.
    """
    try:
        length = _number((yield _HEADER_BYTES), 16, 8)
        if not _HEADER_BYTES < length <= _MOST_HEADER_BYTES:
            return True
        header = yield length - _HEADER_BYTES
        data = yield _DATA_HEADER_BYTES
    except EOFError:
        return True
    size = _packet_size(header)
    if size is None or not data.startswith(_DATA):
        return True
    left = max(_number(data, 40, 8), (_number(data, 16, 8) - _DATA_HEADER_BYTES) // size)
    tracks = {number: _Track() for number in _track_numbers(header)}
    is_open_ended = left <= 0
    while is_open_ended or left > 0:
        try:
            packet = yield size
        except EOFError:
            break
        left -= 1
        try:
            for payload in _payloads(packet):
                tracks[payload.track].take(payload)
        except (LookupError, ValueError):
            return False
    return all(track.is_whole for track in tracks.values())


@dataclass(frozen=True, slots=True)
class _Payload:
    """A part of an object, or several small objects; ``length`` is that of its data."""

    track: int
    number: int
    number_bytes: int
    offset: int
    size: int | None
    """The size of its object; None if not given."""
    length: int
    objects: int = 1


class _Track:
    """The objects of one track, in stored order."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._size: int | None = None
        self._reached = 0
        self._steps = self._leaps = 0

    @property
    def is_whole(self) -> bool:
        """Whether the last object is complete and the numbers skip none."""
        return self._is_complete and not 0 < self._leaps * _UNNUMBERED_SHARE <= self._steps

    @property
    def _is_complete(self) -> bool:
        return self._size is None or self._reached == self._size

    def take(self, payload: _Payload) -> None:
        """Process the next payload.

        Raises:
            ValueError: it does not continue where the one before it ended.
        """
        if payload.offset == 0:
            if not self._is_complete:
                raise ValueError
            self._count(payload)
            self._size, self._reached = payload.size, 0
        elif (payload.number, payload.offset) != (self._number, self._reached):
            raise ValueError
        self._number = payload.number + payload.objects - 1
        self._reached += payload.length
        if self._size is not None and self._reached > self._size:
            raise ValueError

    def _count(self, payload: _Payload) -> None:
        if payload.number_bytes and self._number is not None:
            self._steps += 1
            wanted = (self._number + 1) % 256**payload.number_bytes
            self._leaps += payload.number != wanted


class _Fields:
    """Reads the numbers in a packet one after the other, in little-endian order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, length: int) -> int:
        """Return the next number, of ``length`` bytes; 0 if ``length`` is 0."""
        self.at += length
        if self.at > len(self._data):
            raise ValueError
        return _number(self._data, self.at - length, length)

    def take_coded(self, kind: int) -> int:
        """Return the next number; the two lowest bits of ``kind`` give its length."""
        return self.take((0, 1, 2, 4)[kind & 3])


def _payloads(packet: bytes) -> Iterator[_Payload]:
    """Yield the payloads of a packet.

    Raises:
        ValueError: its lengths do not add up.
    """
    fields = _Fields(packet)
    flags = fields.take(1)
    if flags & 0x80:
        # (Error correction data, which is not used.)
        fields.take(flags & 0x0F)
        flags = fields.take(1)
    kinds = fields.take(1)
    length = fields.take_coded(flags >> 5)
    fields.take_coded(flags >> 1)
    end = len(packet) - fields.take_coded(flags >> 3)
    if length:
        end = min(end, length)
    fields.take(6)
    if flags & 1:
        several = fields.take(1)
        for _ in range(several & 0x3F):
            yield _payload(packet, fields, kinds, end, several >> 6)
    else:
        yield _payload(packet, fields, kinds, end, None)


def _payload(
    packet: bytes, fields: _Fields, kinds: int, end: int, length_kind: int | None
) -> _Payload:
    track = fields.take(1) & 0x7F
    number_kind = kinds >> 4
    number = fields.take_coded(number_kind)
    offset = fields.take_coded(kinds >> 2)
    extra = fields.take_coded(kinds)
    extra_at = fields.at
    fields.take(extra)
    length = end - fields.at if length_kind is None else fields.take_coded(length_kind)
    begin = fields.at
    fields.take(length)
    if length < 0 or fields.at > end:
        raise ValueError
    number_bytes = (0, 1, 2, 4)[number_kind & 3]
    if extra == _COMPRESSED:
        objects = _count_objects(packet[begin : fields.at])
        return _Payload(track, number, number_bytes, 0, None, length, objects)
    has_size = extra >= _OBJECT_SIZE_BYTES
    size = _number(packet, extra_at, _OBJECT_SIZE_BYTES) if has_size else None
    return _Payload(track, number, number_bytes, offset, size, length)


def _count_objects(data: bytes) -> int:
    """Count small objects, each of which is preceded by its length."""
    count = at = 0
    while at < len(data):
        at += 1 + data[at]
        count += 1
    if at != len(data):
        raise ValueError
    return count


def _packet_size(header: bytes) -> int | None:
    """Return the size of all packets; None if it varies or is not given."""
    at = header.find(_FILE_PROPERTIES)
    if at < 0:
        return None
    least = _number(header, at + _PACKET_SIZES_AT, 4)
    most = _number(header, at + _PACKET_SIZES_AT + 4, 4)
    return least if 0 < least == most else None


def _track_numbers(header: bytes) -> Iterator[int]:
    at = header.find(_TRACK_PROPERTIES)
    while at >= 0:
        yield _number(header, at + _TRACK_NUMBER_AT, 1) & 0x7F
        at = header.find(_TRACK_PROPERTIES, at + 1)


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")
