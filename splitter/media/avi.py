"""Follow the chunks of an AVI file: its demuxer searches for the next one after a wrong length."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from splitter.media.walks import Walk, skip

_OF_TRACK: Final = re.compile(rb"[0-9A-Fa-f]{2}[A-Za-z]{2}")
_BESIDE: Final = re.compile(rb"ix[0-9]{2}|JUNK|junk|LIST|rec |idx1")
_KINDS: Final = frozenset({b"vids", b"auds", b"txts", b"mids", b"dats", b"iavs", b"ivas"})
"""The kinds of tracks: a track of another kind is left out by the demuxer."""
_NAME: Final = re.compile(rb"[ -~]{4}")
_OF_HEADERS: Final = (b"hdrl", b"strl")
"""Lists with the headers of the tracks, which are read."""
_HEADER_BYTES, _KIND_BYTES, _ENTRY_BYTES = 8, 4, 16
_OPEN_ENDED: Final = (0, 0xFFFFFFFF)
"""Lengths in a recording that was not finalised."""


def walk_avi() -> Walk:
    """Request an AVI file's bytes; return whether its chunks are contiguous and its index agrees.

    A file that ends too soon is not judged here: its header gives its size; see `file_end`.
    """
    try:
        yield 12
        length = yield from _find_movie()
        if length is None:
            return False
        if length in _OPEN_ENDED:
            return (yield from _unfinished())
        chunks = yield from _movie(length - _KIND_BYTES)
        if chunks is None:
            return False
        while True:
            name, length = yield from _header()
            if name == b"idx1":
                return chunks == (yield from _entries(length))
            if name == b"RIFF":
                # (A file beyond a gigabyte continues with another RIFF chunk.)
                return True
            yield from skip(length + length % 2)
    except EOFError:
        pass
    return True


@dataclass(slots=True)
class _Chunks:
    """How many chunks each track has, and how many bytes they hold together."""

    counts: Counter[bytes] = field(default_factory=Counter)
    sizes: Counter[bytes] = field(default_factory=Counter)

    def add(self, name: bytes, length: int) -> None:
        """Count a chunk, if its name is one of a track's."""
        if _OF_TRACK.fullmatch(name):
            self.counts[name[:2]] += 1
            self.sizes[name[:2]] += length


def _find_movie() -> Generator[int, bytes, int | None]:
    """Pass over the headers; return the length of the list with the chunks, None if damaged."""
    while True:
        name, length = yield from _header()
        if not _NAME.fullmatch(name):
            return None
        if name == b"strh" and length >= _KIND_BYTES:
            if (yield _KIND_BYTES) not in _KINDS:
                return None
            yield from skip(length + length % 2 - _KIND_BYTES)
        elif name != b"LIST":
            yield from skip(length + length % 2)
        elif (kind := (yield _KIND_BYTES)) == b"movi":
            return length
        elif kind not in _OF_HEADERS:
            yield from skip(length + length % 2 - _KIND_BYTES)


def _header() -> Generator[int, bytes, tuple[bytes, int]]:
    header = yield _HEADER_BYTES
    return header[:4], int.from_bytes(header[4:], "little")


def _movie(left: int) -> Generator[int, bytes, _Chunks | None]:
    """Pass over ``left`` bytes of chunks; return those of tracks, None if they do not fit."""
    chunks = _Chunks()
    while left >= _HEADER_BYTES:
        name, length = yield from _header()
        left -= _HEADER_BYTES
        if name == b"LIST":
            # (A list of chunks that belong together; they follow.)
            yield 4
            left -= 4
            continue
        if not _OF_TRACK.fullmatch(name) and not _BESIDE.fullmatch(name):
            return None
        chunks.add(name, length)
        left -= length + length % 2
        if left < -1:
            return None
        yield from skip(length + (length % 2 if left >= 0 else 0))
    yield from skip(left)
    return chunks


def _unfinished() -> Generator[int, bytes, bool]:
    """Pass over the chunks of a recording that was not finalised; return whether all are whole."""
    while True:
        try:
            name, length = yield from _header()
        except EOFError as end:
            return not end.args[0]
        if not any(name):
            return True  # (Some cameras reserve a file's space, and it is not filled up.)
        try:
            if name == b"LIST":
                yield _KIND_BYTES
            elif _OF_TRACK.fullmatch(name) or _BESIDE.fullmatch(name):
                yield from skip(length + length % 2)
            else:
                return name == b"RIFF"
        except EOFError:
            return False


def _entries(length: int) -> Generator[int, bytes, _Chunks]:
    """Pass over an index of ``length`` bytes; return the chunks that it lists."""
    chunks = _Chunks()
    for _ in range(length // _ENTRY_BYTES):
        entry = yield _ENTRY_BYTES
        chunks.add(entry[:4], int.from_bytes(entry[12:], "little"))
    return chunks
