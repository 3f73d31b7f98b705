"""Follow the elements of a Matroska file: its demuxer silently skips unknown ones."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from splitter.media.walks import Walk, skip

_UNKNOWN: Final = -1
"""The length of an element whose end was not known when a live recording wrote it."""

_HEADER, _SEGMENT, _TRACKS, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0x1F43B675
_IN_SEGMENT: Final = frozenset(
    {_TRACKS, _CLUSTER, 0x114D9B74, 0x1549A966, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
)
_FILLING: Final = frozenset({0xEC, 0xBF})
_SIMPLE_BLOCK, _GROUP, _BLOCK = 0xA3, 0xA0, 0xA1
_IN_CLUSTER: Final = frozenset({_SIMPLE_BLOCK, _GROUP, 0xE7, 0xA7, 0xAB, 0xAF, 0x5854})
_IN_GROUP: Final = frozenset(
    {_BLOCK, 0x9B, 0xFA, 0xFB, 0xFD, 0xA4, 0xA2, 0xAF, 0x8E, 0xC8, 0x75A1, 0x75A2}
)
_TRACK, _TRACK_NUMBER, _TRACK_KIND = 0xAE, 0xD7, 0x83
_KINDS: Final = frozenset({1, 2, 3, 16, 17, 18, 32, 33})
_BLOCK_HEADER: Final = 4
_LONGEST_NUMBER: Final = 8


def walk_matroska() -> Walk:
    """Request a file's bytes; return whether each element is known and in its place.

    The end of the file is not judged: its header gives its duration, which `promised_end` checks.
    """
    tracks: set[int] = set()
    try:
        _, kind, length = yield from _element()
        if kind != _HEADER:
            return False
        yield from skip(length)
        _, kind, length = yield from _element()
        if kind != _SEGMENT:
            return False
        next_element = yield from _element()
        while True:
            _, kind, length = next_element
            if kind == _CLUSTER:
                after = yield from _cluster(length, tracks)
                if after is None:
                    return False
                next_element = after or (yield from _element())
                continue
            if kind == _TRACKS:
                if not (yield from _read_tracks(length, tracks)):
                    return False
            elif kind in _IN_SEGMENT or kind in _FILLING:
                yield from skip(length)
            else:
                return False
            next_element = yield from _element()
    except EOFError:
        return True


_Element = tuple[int, int, int]
"""The size of an element's head in bytes, its kind (ID), and the length of its content."""


def _element() -> Generator[int, bytes, _Element]:
    size, kind = yield from _number(4, marked=True)
    more, length = yield from _number(_LONGEST_NUMBER, marked=False)
    return size + more, kind, length


def _number(longest: int, *, marked: bool) -> Generator[int, bytes, tuple[int, int]]:
    """Read a variable-length number; return its size and value, the value 0 if it is too long."""
    first = (yield 1)[0]
    size = 9 - first.bit_length()
    if size > longest:
        return 1, 0
    value = first if marked else first & (1 << 8 - size) - 1
    if size > 1:
        value = value << 8 * (size - 1) | int.from_bytes((yield size - 1), "big")
    if not marked and value == (1 << 7 * size) - 1:
        value = _UNKNOWN
    return size, value


def _cluster(length: int, tracks: set[int]) -> Generator[int, bytes, _Element | tuple[()] | None]:
    """Pass over a cluster; return the next element if it had to be read, None if broken."""
    left = length
    while length == _UNKNOWN or left > 0:
        size, kind, inner = element = yield from _element()
        if length == _UNKNOWN and kind in _IN_SEGMENT:
            return element
        if kind in (_SIMPLE_BLOCK, _GROUP):
            walk = _block if kind == _SIMPLE_BLOCK else _group
            if not (yield from walk(inner, tracks)):
                return None
        elif kind in _IN_CLUSTER or kind in _FILLING:
            yield from skip(inner)
        else:
            return None
        left -= size + inner
    return () if left == 0 else None


def _group(length: int, tracks: set[int]) -> Walk:
    while length > 0:
        size, kind, inner = yield from _element()
        if kind == _BLOCK:
            if not (yield from _block(inner, tracks)):
                return False
        elif kind in _IN_GROUP or kind in _FILLING:
            yield from skip(inner)
        else:
            return False
        length -= size + inner
    return length == 0


def _block(length: int, tracks: set[int]) -> Walk:
    size, track = yield from _number(_LONGEST_NUMBER, marked=False)
    if length < size + _BLOCK_HEADER - 1 or track not in tracks:
        return False
    yield from skip(length - size)
    return True


def _read_tracks(length: int, tracks: set[int]) -> Walk:
    while length > 0:
        size, kind, inner = yield from _element()
        length -= size + inner
        if kind == _TRACK:
            if not (yield from _read_track(inner, tracks)):
                return False
        elif kind in _FILLING:
            yield from skip(inner)
        else:
            return False
    return length == 0


def _read_track(length: int, tracks: set[int]) -> Walk:
    found: dict[int, int] = {}
    while length > 0:
        size, kind, inner = yield from _element()
        length -= size + inner
        if kind in (_TRACK_NUMBER, _TRACK_KIND) and 0 < inner <= _LONGEST_NUMBER:
            found[kind] = int.from_bytes((yield inner), "big")
        else:
            yield from skip(inner)
    tracks.add(found.get(_TRACK_NUMBER, 0))
    return length == 0 and _TRACK_NUMBER in found and found.get(_TRACK_KIND) in _KINDS
