"""Check the header of a packet of picture, sound or text in an MPEG-2 program or transport stream.

Demuxers do not check that a header has room for what it announces: they take the length that it
gives, and what of the payload lies within is lost.
"""

from __future__ import annotations

from typing import Final

START_BYTES: Final = 3
"""The bytes of a header that it always has: marks, flags, and the length of the rest."""

_PRIVATE_1: Final = 0xBD
_SOUND_AND_PICTURE: Final = range(0xC0, 0xF0)
_MPEG_2: Final = 2
_TIMES_BYTES: Final = (0, 0, 5, 10)
_FIELDS: Final = ((0x20, 6), (0x10, 3), (0x08, 1), (0x04, 1), (0x02, 2))
"""Flags of a header, and how many bytes each announces; its extension has its own."""
_EXTENSION: Final = 0x01
_EXTENSION_FIELDS: Final = ((0x80, 16), (0x20, 2), (0x10, 2))
_PACK_FIELD: Final = 0x40
_SECOND_EXTENSION: Final = 0x01
_STUFFING: Final = b"\xff"


def has_header(kind: int) -> bool:
    """Return whether packets of a stream with the number ``kind`` have such a header."""
    return kind == _PRIVATE_1 or kind in _SOUND_AND_PICTURE


def length_of_rest(start: bytes) -> int | None:
    """Return how many bytes of a header follow its ``start``; None for one of MPEG-1."""
    return start[2] if start[0] >> 6 == _MPEG_2 else None


def is_filled(flags: int, rest: bytes, unread: int = 0) -> bool:
    """Return whether a header's ``rest`` holds what its flags announce, and only stuffing after.

    ``unread`` more bytes belong to it.
    """
    at = _TIMES_BYTES[flags >> 6] + sum(size for flag, size in _FIELDS if flags & flag)
    if flags & _EXTENSION:
        more = _byte(rest, at)
        at += 1 + sum(size for flag, size in _EXTENSION_FIELDS if more & flag)
        # (These two fields begin with their own length.)
        if more & _PACK_FIELD:
            at += 1 + _byte(rest, at)
        if more & _SECOND_EXTENSION:
            at += 1 + (_byte(rest, at) & 0x7F)
    return at <= len(rest) + unread and not rest[at:].strip(_STUFFING)


def _byte(data: bytes, at: int) -> int:
    return data[at] if at < len(data) else 0
