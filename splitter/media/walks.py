"""How the structure of a file is followed while it is read: piece by piece, whatever it claims."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

Walk = Generator[int, bytes, bool]
"""Requests a number of bytes at a time; returns whether the structure is intact.

A negative number skips as many bytes, which need not be read at all. At the end of the file an
`EOFError` is raised in the generator, with the bytes that are left, and with how many bytes were
skipped beyond the end; if negative, how many at the end were never read (only for MP4)."""

PIECE_BYTES: Final = 64 * 1024
"""The most that is requested only to pass over it."""


def skip(length: int) -> Generator[int, bytes, None]:
    """Pass over bytes that are read; none if the length, which may be damaged, is negative."""
    while length > 0:
        yield min(length, PIECE_BYTES)
        length -= PIECE_BYTES
