"""Read the tables of a transport stream that list the tracks of a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

TABLE: Final = 0x02
"""The first byte of such a table."""

HEADER_BYTES: Final = 3
_CHECK_BYTES: Final = 4


def tracks_in(table: bytes) -> Iterator[tuple[int, int]]:
    """Yield the identifier (PID) of each track in a table, and what kind of content it has.

    Tracks that are beyond the end of ``table`` are left out.
    """
    length = HEADER_BYTES + (int.from_bytes(table[1:3], "big") & 0xFFF)
    end = min(length - _CHECK_BYTES, len(table))
    at = 12 + (int.from_bytes(table[10:12], "big") & 0xFFF)
    while at + 5 <= end:
        yield identifier(table, at + 1), table[at]
        at += 5 + (int.from_bytes(table[at + 3 : at + 5], "big") & 0xFFF)


def identifier(data: bytes, at: int) -> int:
    """Return the identifier of a track that is stored at an offset."""
    return int.from_bytes(data[at : at + 2], "big") & 0x1FFF
