"""Follow the structure of a file while it is read: demuxers do not report breaks in it.

Some formats are chains of pieces, each of which gives its length; where a chain breaks, their
demuxers search for the next piece without an error.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator
from typing import Final

from splitter.media.asf import walk_asf
from splitter.media.avi import walk_avi
from splitter.media.ebml import walk_matroska
from splitter.media.gif import walk_gif
from splitter.media.mp4_fragments import walk_mp4
from splitter.media.program_stream import walk_program_stream
from splitter.media.transport_stream import layout_of, walk_transport_stream
from splitter.media.walks import PIECE_BYTES, Walk, skip

_COUNT_BYTES: Final = 4
_MP4_BEGINS: Final = (b"ftyp", b"styp", b"moov")
_OGG_PAGE_BYTES, _OGG_LAST = 27, 4
_FLV_TAG_BYTES, _FLV_BACK_BYTES = 11, 4
_FLV_SOUND, _FLV_PICTURE, _FLV_DATA = 8, 9, 18
_FLV_NAMED, _FLV_NAMED_SOUND = 0x80, 9
"""The numbers of codecs of pictures and of sound that have names instead."""
_FLV_NAME_BYTES: Final = 16
"""A name is among so many first bytes of a tag."""
_FLV_NAMES: Final = re.compile(rb"avc1|hvc1|vvc1|av01|vp0[89]|mp4a|Opus|fLaC|\.mp3|[ae]c-3")
_IVF_HEADER_BYTES, _IVF_FRAME_BYTES = 32, 12
_IVF_OPEN: Final = 0xFFFFFFFF
"""The number of frames in a file that was written to a pipe."""


class Structure:
    """Receives a file's bytes as they are read, and walks through them once, in order.

    Bytes that are read again or out of order are ignored.
    """

    def __init__(self, head: bytes) -> None:
        """``head`` holds the file's first bytes, which identify its format."""
        self._walk = _walk_through(head)
        self.is_followed = self._walk is not None
        self._wants_unread_rest = head[4:8] in _MP4_BEGINS
        self._wanted = next(self._walk) if self._walk else 0
        self._seen = 0
        self._kept = bytearray()
        self.is_broken = False

    def read(self, offset: int, data: bytes) -> None:
        """Process ``data``, which was read at ``offset``."""
        if self._walk is None or not offset <= self._seen < offset + len(data):
            return
        self._kept += data[self._seen - offset :]
        self._seen = offset + len(data)
        at = 0
        try:
            while len(self._kept) - at >= self._wanted:
                piece = bytes(self._kept[at : at + max(self._wanted, 0)])
                at += abs(self._wanted)
                beyond = max(at - len(self._kept), 0)
                self._seen, at = self._seen + beyond, at - beyond
                self._wanted = self._walk.send(piece)
        except StopIteration as end:
            self._walk = None
            self.is_broken = not end.value
            at = len(self._kept)
        del self._kept[:at]

    def finish(self, size: int) -> None:
        """Check the end, once all was read: a file of ``size`` bytes may end too soon."""
        if self._walk is None or (self._seen < size and not self._wants_unread_rest):
            return
        try:
            self._walk.throw(EOFError(bytes(self._kept), self._seen - size))
        except StopIteration as end:
            self.is_broken = not end.value
        except EOFError:
            self.is_broken = True
        self._walk = None


def _walk_through(head: bytes) -> Walk | None:
    if layout := layout_of(head):
        return walk_transport_stream(*layout)
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return walk_avi()
    if head[4:8] in _MP4_BEGINS:
        return walk_mp4()
    return next((walk() for sign, walk in _WALKS.items() if head.startswith(sign)), None)


def _checked(length: int, check: int) -> Generator[int, bytes, int]:
    """Pass over bytes; return their CRC, continued from ``check``."""
    while length:
        piece = yield min(length, PIECE_BYTES)
        check = zlib.crc32(piece, check)
        length -= len(piece)
    return check


def _png() -> Walk:
    yield 8
    promised = frames = 0
    while True:
        header = yield 8
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        check = zlib.crc32(kind)
        if kind == b"acTL" and length >= _COUNT_BYTES:
            counts = yield _COUNT_BYTES
            promised, check = int.from_bytes(counts, "big"), zlib.crc32(counts, check)
            length -= _COUNT_BYTES
        frames += kind == b"fcTL"
        check = yield from _checked(length, check)
        if int.from_bytes((yield 4), "big") != check:
            return False
        if kind == b"IEND":
            return frames == promised


def _ogg() -> Walk:
    numbers: dict[bytes, int] = {}
    ended: set[bytes] = set()
    while True:
        try:
            page = yield _OGG_PAGE_BYTES
        except EOFError:
            return ended == set(numbers)
        track, number = page[14:18], int.from_bytes(page[18:22], "little")
        # (The first page of a track may have any number.)
        if not page.startswith(b"OggS") or number != numbers.get(track, number):
            return False
        numbers[track] = number + 1
        if page[5] & _OGG_LAST:
            ended.add(track)
        sizes = (yield page[26]) if page[26] else b""
        yield from skip(sum(sizes))


def _flv() -> Walk:
    header = yield 9
    yield from skip(int.from_bytes(header[5:], "big") - len(header) + _FLV_BACK_BYTES)
    codecs: dict[int, int] = {}
    while True:
        try:
            tag = yield _FLV_TAG_BYTES
        except EOFError as end:
            return not end.args[0]
        kind, length = tag[0] & 0x1F, int.from_bytes(tag[1:4], "big")
        if kind not in (_FLV_SOUND, _FLV_PICTURE, _FLV_DATA):
            return False
        if length and kind != _FLV_DATA:
            head = yield min(length, _FLV_NAME_BYTES)
            yield from skip(length - len(head))
            codec = head[0] >> 4 if kind == _FLV_SOUND else min(head[0] & 0x8F, _FLV_NAMED)
            # (A file of several tracks has numbers for the first and names for the others.)
            is_named = codec in (_FLV_NAMED_SOUND, _FLV_NAMED) and _FLV_NAMES.search(head)
            if not is_named and codec != codecs.setdefault(kind, codec):
                return False
        else:
            yield from skip(length)
        if int.from_bytes((yield _FLV_BACK_BYTES), "big") not in (0, length + _FLV_TAG_BYTES):
            return False


def _ivf() -> Walk:
    header = yield _IVF_HEADER_BYTES
    yield from skip(int.from_bytes(header[6:8], "little") - len(header))
    promised = int.from_bytes(header[24:28], "little")
    count = first = last = 0
    while True:
        try:
            frame = yield _IVF_FRAME_BYTES
        except EOFError as end:
            # Some muxers write the number of frames, others their duration in ticks.
            ticks = count * (last - first) // max(count - 1, 1)
            return not end.args[0] and promised in (0, _IVF_OPEN, count, ticks)
        count, last = count + 1, int.from_bytes(frame[4:], "little")
        first = first if count > 1 else last
        yield from skip(int.from_bytes(frame[:4], "little"))


_WALKS: Final[dict[bytes, Callable[[], Walk]]] = {
    b"GIF8": walk_gif,
    b"\x89PNG\r\n\x1a\n": _png,
    b"\0\0\1\xba": walk_program_stream,
    b"OggS": _ogg,
    b"FLV\x01": _flv,
    b"DKIF": _ivf,
    b"\x1aE\xdf\xa3": walk_matroska,
    b"0&\xb2u\x8ef\xcf\x11": walk_asf,
}
