"""Detect from a file's last bytes whether it was written to its end, if its format shows that.

A demuxer reads what there is, and takes the end of the file for the end of the video.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, NamedTuple

from splitter.media.transport_stream import layout_of

_TAIL_BYTES: Final = 128 * 1024
_OGG_PAGE: Final = struct.Struct("<4sBBqIIIB")
_OGG_LAST: Final = 4
_FLV_TAG_HEADER: Final = 11
_FLV_TAGS: Final = (8, 9, 18)
_FLV_BACK: Final = 4
_FLV_PICTURE, _FLV_H264 = 9, 7
_FLV_LAST_TAGS: Final = 32
"""The frame that is shown last is among so many last tags; it need not be stored last."""
_FLV_LAST_S: Final = 0.05
"""How far the last frame may begin before the end that the header gives, in seconds."""
_DOUBLE: Final = 8
_RIFF_HEADER: Final = 8
_HEAD_BYTES: Final = 4096
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_NUT_INDEX: Final = b"NX\xdd\x67\x2f\x23\xe6\x4e"
_PACK: Final = b"\0\0\1\xba"
_PACK_BYTES: Final = 14
_PES_HEADER: Final = 6
_PROGRAM_END: Final = b"\xb9"
_UNKNOWN_SIZE: Final = (0, 0xFFFFFFFF)
_PLACES_OF_SIZES: Final = {"avi": slice(4, 8), "ivf": slice(24, 28)}
"""Where headers have the size of the file, or the number of its frames."""


def is_truncated(file: BinaryIO, size: int, format_name: str) -> bool:
    """Return whether a file of FFmpeg's format ``format_name`` ends in the middle of something."""
    check = _CHECKS.get(format_name)
    if check is None:
        return False
    file.seek(0)
    head = file.read(min(size, _HEAD_BYTES))
    file.seek(max(size - _TAIL_BYTES, 0))
    return check(_Ends(head, file.read(_TAIL_BYTES), size))


def is_finalised(head: bytes, format_name: str) -> bool:
    """Return whether a header was completed after the last frame, or never is.

    Otherwise what it says of sizes and durations means nothing: the file was written to a pipe.
    """
    place = _PLACES_OF_SIZES.get(format_name)
    return place is None or int.from_bytes(head[place], "little") not in _UNKNOWN_SIZE


class _Ends(NamedTuple):
    """A file's first and last bytes, and its size."""

    head: bytes
    tail: bytes
    size: int


def _gif(file: _Ends) -> bool:
    return not file.tail.rstrip(b"\0").endswith(b";")


def _apng(file: _Ends) -> bool:
    return b"IEND" not in file.tail[-4096:]


def _ogg(file: _Ends) -> bool:
    tail = file.tail
    at = tail.rfind(b"OggS")
    if at < 0 or at + _OGG_PAGE.size > len(tail):
        return True
    _, _, flags, *_, segments = _OGG_PAGE.unpack_from(tail, at)
    sizes = tail[at + _OGG_PAGE.size : at + _OGG_PAGE.size + segments]
    end = at + _OGG_PAGE.size + segments + sum(sizes)
    return not flags & _OGG_LAST or len(sizes) < segments or end > len(tail)


def _flv(file: _Ends) -> bool:
    head, tail, size = file
    if _flv_number(head, b"filesize", size) > size and _flv_ends_early(head, tail):
        return True
    length = int.from_bytes(tail[-4:], "big")
    if length == 0:
        return False
    at = len(tail) - 4 - length
    if length < _FLV_TAG_HEADER or at < 0:
        # (A tag that is longer than what was read cannot be checked.)
        return length < _FLV_TAG_HEADER or length > size
    promised = int.from_bytes(tail[at + 1 : at + 4], "big") + _FLV_TAG_HEADER
    return tail[at] & 0x1F not in _FLV_TAGS or promised != length


def _flv_ends_early(head: bytes, tail: bytes) -> bool:
    """Return whether the last tags are shown long before the end that the header gives.

    A file may have been cut between two tags, and tools copy a file size that is no longer right:
    the size alone says little.
    """
    latest, end = 0, len(tail)
    for _ in range(_FLV_LAST_TAGS):
        at = end - _FLV_BACK - int.from_bytes(tail[end - _FLV_BACK : end], "big")
        if at < 0 or end - at < _FLV_TAG_HEADER + _FLV_BACK + 1:
            break
        tag = tail[at:end]
        begins = int.from_bytes(tag[7:8] + tag[4:7], "big")
        if tag[0] & 0x1F == _FLV_PICTURE and tag[_FLV_TAG_HEADER] & 0x0F == _FLV_H264:
            begins += int.from_bytes(tag[13:16], "big", signed=True)
        latest, end = max(latest, begins), at
    return _flv_number(head, b"duration", 0) - latest / 1000 > _FLV_LAST_S


def _flv_number(head: bytes, name: bytes, default: float) -> float:
    """Return a number from the metadata at the beginning of an FLV file."""
    at = head.find(name + b"\0")
    value = head[at + len(name) + 1 : at + len(name) + 9]
    found: float = struct.unpack(">d", value)[0] if at >= 0 and len(value) == _DOUBLE else default
    return found


def _mpegts(file: _Ends) -> bool:
    layout = layout_of(file.head)
    return layout is not None and file.size % layout[0] != 0


def _avi(file: _Ends) -> bool:
    promised = int.from_bytes(file.head[4:8], "little")
    return promised not in _UNKNOWN_SIZE and promised + _RIFF_HEADER > file.size


def _asf(file: _Ends) -> bool:
    head = file.head
    at = head.find(_ASF_FILE_PROPERTIES)
    if at < 0:
        return False
    promised = int.from_bytes(head[at + 40 : at + 48], "little")
    is_broadcast = head[at + 88 : at + 89] != b"" and bool(head[at + 88] & 1)
    return promised > file.size and not is_broadcast


def _nut(file: _Ends) -> bool:
    return _NUT_INDEX not in file.tail


def _mpeg(file: _Ends) -> bool:
    """Walk on from the last pack header: the packets after it must not extend beyond the file."""
    tail = file.tail
    at = tail.rfind(_PACK)
    if at < 0:
        return False
    at += _PACK_BYTES + (tail[at + 13 : at + 14] or b"\0")[0] % 8
    while tail[at : at + 3] == b"\0\0\1" and tail[at + 3 : at + 4] != _PROGRAM_END:
        at += _PES_HEADER + int.from_bytes(tail[at + 4 : at + 6], "big")
    return at > len(tail)


def _dv(file: _Ends) -> bool:
    # (Variants of DV with larger frames use a multiple of this size.)
    is_pal = bool(file.head[3] & 0x80)
    return file.size % (144_000 if is_pal else 120_000) != 0


_CHECKS: Final[Mapping[str, Callable[[_Ends], bool]]] = {
    "gif": _gif,
    "apng": _apng,
    "ogg": _ogg,
    "flv": _flv,
    "mpegts": _mpegts,
    "avi": _avi,
    "asf": _asf,
    "nut": _nut,
    "mpeg": _mpeg,
    "dv": _dv,
}
