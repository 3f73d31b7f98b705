"""Follow the blocks of a GIF: after one with a wrong length, the next are mistaken for data."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from splitter.media.walks import Walk

_EXTENSION, _CONTROL, _IMAGE, _END = 0x21, 0xF9, 0x2C, 0x3B
_HAS_TABLE: Final = 0x80
_TEXT, _APPLICATION = 0x01, 0xFF
_FIRST_BYTES: Final = {_CONTROL: 4, _TEXT: 12, _APPLICATION: 11}
"""The length of the first block in each kind of extension; a comment's may have any length."""
_NAME_BYTES: Final = 8
_REPEATS: Final = {b"NETSCAPE": b"2.0", b"ANIMEXTS": b"1.0"}
_REPEAT: Final = re.compile(rb"\x01..|\x02....", re.DOTALL)
"""What such an extension contains: how often to repeat, or how many bytes to buffer."""
_PICTURE: Final = re.compile(rb"\x21\xf9\x04.{4}\x00[\x21\x2c]", re.DOTALL)
"""What a picture of an animation begins with."""
_FULL: Final = (254, 255)
"""The lengths to which encoders fill all blocks but the last."""
_WIDEST_CODE: Final = 12
_MOST_BYTES: Final = 1 << 20
"""How much of one picture's data is checked."""


def walk_gif() -> Walk:
    """Request a GIF's bytes; return whether its blocks are in order."""
    screen = yield 13
    yield from _skip_table(screen[10])
    while True:
        kind = (yield 1)[0]
        if kind == _END:
            return (yield from _has_ended())
        if kind == _EXTENSION:
            in_order = yield from _extension()
        elif kind == _IMAGE:
            in_order = yield from _image()
        else:
            # The demuxer takes anything else for the end.
            while not kind:
                kind = (yield 1)[0]
            return kind == _END and (yield from _has_ended())
        if not in_order:
            return False


def _has_ended() -> Generator[int, bytes, bool]:
    """Tell whether a file is over behind its last block: no other picture follows."""
    try:
        return (yield 1)[0] not in (_EXTENSION, _IMAGE, _CONTROL)
    except EOFError:
        return True


def _skip_table(flags: int) -> Generator[int, bytes, None]:
    if flags & _HAS_TABLE:
        yield 3 << (flags & 7) + 1


def _blocks() -> Generator[int, bytes, list[bytes]]:
    """Pass over blocks up to the empty one that ends them; return the first `_MOST_BYTES`."""
    blocks, size = [], 0
    while length := (yield 1)[0]:
        block = yield length
        if size <= _MOST_BYTES:
            blocks.append(block)
            size += length
    return blocks


def _extension() -> Generator[int, bytes, bool]:
    """Pass over an extension; return whether its blocks are plausible for its kind."""
    label = (yield 1)[0]
    blocks = yield from _blocks()
    if _swallow_pictures(blocks):
        return False
    name, *rest = blocks or [b""]
    if len(name) != _FIRST_BYTES.get(label, len(name)):
        return False
    if label == _CONTROL:
        return not rest
    if label == _APPLICATION and name[:_NAME_BYTES] in _REPEATS:
        return _REPEATS[name[:_NAME_BYTES]] == name[_NAME_BYTES:] and all(
            map(_REPEAT.fullmatch, rest)
        )
    return label != _APPLICATION or name[:_NAME_BYTES].decode("latin-1").isprintable()


def _swallow_pictures(blocks: list[bytes]) -> bool:
    """Return whether blocks contain pictures: then one of them has a wrong length."""
    data = b"".join(bytes([len(block)]) + block for block in blocks)
    return _PICTURE.search(data) is not None


def _image() -> Generator[int, bytes, bool]:
    """Pass over one picture; return whether its blocks are plausible for a single picture.

    Encoders fill all blocks but the last. If they are not filled, the compressed data must end in
    the last one.
    """
    header = yield 9
    yield from _skip_table(header[8])
    smallest_code = (yield 1)[0]
    blocks = yield from _blocks()
    if _swallow_pictures(blocks):
        return False
    lengths = [len(block) for block in blocks]
    full = lengths[0] if lengths[1:] else _FULL[0]
    is_regular = full in _FULL and {*lengths[:-1]} <= {full} and lengths[-1:] <= [full]
    if is_regular or sum(lengths) > _MOST_BYTES:
        return True
    return _length_of_codes(b"".join(blocks), smallest_code) > sum(lengths[:-1])


def _length_of_codes(data: bytes, smallest: int) -> int:
    """Return how many bytes LZW data has up to its end code; 0 if it has none."""
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
            # (Each code but the first adds an entry to the table.)
            known += 1
            width += known == 1 << width and width < _WIDEST_CODE
    return 0
