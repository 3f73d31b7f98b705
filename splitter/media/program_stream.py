"""Follow the packets of an MPEG program stream: each gives its length and its optional fields.

If a packet does not follow the one before, or its header announces more than it has room for, the
demuxer silently searches for the next one, or mistakes a packet for one of another track.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from splitter.media.pes_header import START_BYTES, has_header, is_filled, length_of_rest
from splitter.media.walks import Walk, skip

_PACK: Final = 0xBA
_SYSTEM_HEADER: Final = 0xBB
_PROGRAM_END: Final = 0xB9


def walk_program_stream() -> Walk:
    """Request the packets; return whether they are contiguous and contain what they announce.

    A packet of unspecified length, which video may have, ends the walk.
    """
    versions: set[bool] = set()
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
            if has_header(kind):
                length = yield from _packet_header(length, versions)
            if length < 0:
                return False
            yield from skip(length)
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
        yield from skip(rest[8] & 7)
    else:
        yield 7  # (as MPEG-1 has it)


def _packet_header(length: int, versions: set[bool]) -> Generator[int, bytes, int]:
    """Pass over the header of a packet of ``length`` bytes; return how many are left after it.

    Negative if it announces more than it contains, or is not of the version of MPEG that those
    before it are; ``versions`` holds whether these are of MPEG-1.
    """
    if length < START_BYTES:
        return length
    start = yield START_BYTES
    length -= START_BYTES
    size = length_of_rest(start)
    versions.add(size is None)
    if len(versions) > 1:
        return -1
    if size is None:
        return length
    rest = (yield size) if 0 < size <= length else b""
    return length - size if is_filled(start[1], rest) else -1
