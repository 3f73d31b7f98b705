"""Follow the blocks of a GIF: behind one with a wrong length, the next are taken for data."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

_EXTENSION, _CONTROL, _IMAGE, _END = 0x21, 0xF9, 0x2C, 0x3B
_HAS_TABLE: Final = 0x80
_CONTROL_BYTES: Final = 4
_WIDEST_CODE: Final = 12
_MOST_BYTES: Final = 1 << 20
"""How much of one picture's data is looked at."""


def walk_gif() -> Generator[int, bytes, bool]:
    """Ask for a GIF's bytes, so many at a time; return whether its blocks are in order."""
    screen = yield 13
    yield from _skip_table(screen[10])
    while True:
        kind = (yield 1)[0]
        if kind == _END:
            # What follows may be anything but another picture.
            try:
                return (yield 1)[0] not in (_EXTENSION, _IMAGE, _CONTROL)
            except EOFError:
                return True
        if kind == _EXTENSION:
            in_order = yield from _extension()
        elif kind == _IMAGE:
            in_order = yield from _image()
        else:
            in_order = not kind
        if not in_order:
            return False


def _skip_table(flags: int) -> Generator[int, bytes, None]:
    if flags & _HAS_TABLE:
        yield 3 << (flags & 7) + 1


def _extension() -> Generator[int, bytes, bool]:
    label = (yield 1)[0]
    lengths = []
    while length := (yield 1)[0]:
        yield length
        lengths.append(length)
    return label != _CONTROL or lengths == [_CONTROL_BYTES]


def _image() -> Generator[int, bytes, bool]:
    """Pass over one picture; return whether its blocks can be those of one picture.

    Writers fill all blocks but the last. Where that is not so, the compressed data has to end in
    the last one.
    """
    header = yield 9
    yield from _skip_table(header[8])
    smallest_code = (yield 1)[0]
    data, last, full = bytearray(), 0, 0
    is_regular = True
    while length := (yield 1)[0]:
        block = yield length
        full = full or length
        is_regular &= last in (0, full) and length <= full
        last = length
        if len(data) <= _MOST_BYTES:
            data += block
    if is_regular or len(data) > _MOST_BYTES:
        return True
    return _length_of_codes(bytes(data), smallest_code) > len(data) - last


def _length_of_codes(data: bytes, smallest: int) -> int:
    """Return after how many bytes compressed data says that it ends; 0 if it never does."""
    clear, end = 1 << smallest, (1 << smallest) + 1
    width, known, at = smallest + 1, end, 0
    while at + width <= 8 * len(data) and width <= _WIDEST_CODE:
        code = int.from_bytes(data[at // 8 : at // 8 + 3], "little") >> at % 8 & (1 << width) - 1
        at += width
        if code == end:
            return -(-at // 8)
        if code == clear:
            width, known = smallest + 1, end
        else:
            # (Each code but the first adds one.)
            known += 1
            width += known == 1 << width and width < _WIDEST_CODE
    return 0
