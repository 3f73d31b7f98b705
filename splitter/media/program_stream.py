"""Follow the packets of an MPEG program stream: each gives its length and its optional fields.

If a packet does not follow the one before, or its header announces more than it has room for, the
demuxer silently searches for the next one, or mistakes a packet for one of another track.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

_PACK: Final = 0xBA
_SYSTEM_HEADER: Final = 0xBB
_PROGRAM_END: Final = 0xB9
_PRIVATE_1: Final = 0xBD
_SOUND_AND_PICTURE: Final = range(0xC0, 0xF0)
_PIECE_BYTES: Final = 64 * 1024

_HEADER_BYTES: Final = 3
_MPEG_2: Final = 2
_TIMES_BYTES: Final = (0, 0, 5, 10)
_FIELDS: Final = ((0x20, 6), (0x10, 3), (0x08, 1), (0x04, 1), (0x02, 2))
"""Flags of a packet's header, and how many bytes each announces; its extension has its own."""
_EXTENSION: Final = 0x01
_EXTENSION_FIELDS: Final = ((0x80, 16), (0x20, 2), (0x10, 2))
_PACK_FIELD: Final = 0x40
_SECOND_EXTENSION: Final = 0x01


def walk_program_stream() -> Generator[int, bytes, bool]:
    """Request the packets; return whether they are contiguous and contain what they announce.

    A packet of unspecified length, which video may have, ends the walk.
    """
    while True:
        try:
            code = yield from _start_code()
        except EOFError:
            return True
        if code[:3] != b"\0\0\1":
            return False
        kind = code[3]
        if kind == _PACK:
            yield from _pack_header()
        elif kind >= _SYSTEM_HEADER:
            length = int.from_bytes((yield 2), "big")
            if not length:
                return True
            if kind == _PRIVATE_1 or kind in _SOUND_AND_PICTURE:
                length = yield from _packet_header(length)
            if length < 0:
                return False
            yield from _skip(length)
        elif kind != _PROGRAM_END:
            return False


def _start_code() -> Generator[int, bytes, bytes]:
    code = yield 4
    while not any(code[:3]):
        # Zeros may precede it.
        code = code[1:] + (yield 1)
    return code


def _pack_header() -> Generator[int, bytes]:
    if (yield 1)[0] >> 6 == 1:
        rest = yield 9
        yield from _skip(rest[8] & 7)
    else:
        yield 7  # (as MPEG-1 has it)


def _packet_header(length: int) -> Generator[int, bytes, int]:
    """Pass over the header of a packet of ``length`` bytes; return how many are left after it.

    Negative if it announces more than it contains.
    """
    if length < _HEADER_BYTES:
        return length
    marks, flags, size = yield _HEADER_BYTES
    length -= _HEADER_BYTES
    if marks >> 6 != _MPEG_2:
        return length  # (MPEG-1 has no such header.)
    fields = (yield size) if 0 < size <= length else b""
    return length - size if _is_room(flags, fields) else -1


def _is_room(flags: int, fields: bytes) -> bool:
    """Return whether a header's ``fields`` have room for what its flags announce."""
    at = _TIMES_BYTES[flags >> 6] + sum(size for flag, size in _FIELDS if flags & flag)
    if flags & _EXTENSION:
        more = _byte(fields, at)
        at += 1 + sum(size for flag, size in _EXTENSION_FIELDS if more & flag)
        # (These two fields begin with their own length.)
        if more & _PACK_FIELD:
            at += 1 + _byte(fields, at)
        if more & _SECOND_EXTENSION:
            at += 1 + (_byte(fields, at) & 0x7F)
    return at <= len(fields)


def _byte(fields: bytes, at: int) -> int:
    return fields[at] if at < len(fields) else 0


def _skip(length: int) -> Generator[int, bytes]:
    while length:
        length -= len((yield min(length, _PIECE_BYTES)))
