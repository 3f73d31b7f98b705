"""Notice pictures of MPEG videos that a damaged header hides: decoders pass them over silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

_START: Final = b"\0\0\1"
"""What every header begins with; the next byte is its kind. Nothing else contains these bytes."""

_SEQUENCE, _PICTURE, _SLICE = b"\0\0\1\xb3", b"\0\0\1\0", b"\0\0\1\1"
"""How the headers of an MPEG-1 or MPEG-2 video, of a picture and of its first slice begin."""

_LAYERS: Final = range(0x20, 0x30)
_PICTURE_4: Final = 0xB6
"""The kinds of the headers of an MPEG-4 video and of one of its pictures."""

_STUDIO: Final = (14, 15)
"""The types of MPEG-4 videos whose pictures have other headers."""
_OTHER_ASPECT: Final = 15
_GREY_SHAPE: Final = 3
_BUFFER_BITS: Final = 79

_PADDING_BYTES: Final = 4
"""The most that is taken for padding behind the header of a picture without content."""

HidesPicture: TypeAlias = "Callable[[Packet[VideoStream]], bool]"
"""Returns whether a packet holds a picture that the decoder passes over; called in stored order."""


def picture_check(context: VideoCodecContext) -> HidesPicture:
    """Return the check of a video's packets; it finds nothing unless they are MPEG-1, 2 or 4."""
    match context.codec.canonical_name:
        case "mpeg1video" | "mpeg2video":
            return _lost_its_header
        case "mpeg4":
            return _Mpeg4(context.extradata or b"").hides_picture
    return lambda _packet: False


def _lost_its_header(packet: Packet[VideoStream]) -> bool:
    """Return whether a packet holds an MPEG video's header and slices, but no picture's header."""
    if memoryview(packet)[: len(_SEQUENCE)] != _SEQUENCE:
        return False
    data = bytes(packet)
    return _SLICE in data and _PICTURE not in data


class _Mpeg4:
    """Reads the headers of an MPEG-4 video (part 2).

    A picture may have no content, only a header that says so: the picture before it is shown for
    longer. If content follows all the same, the header is damaged.
    """

    def __init__(self, head: bytes) -> None:
        """``head`` holds the headers that the container stores, if any."""
        self._tick_bits: int | None = None
        self._read(head)

    def hides_picture(self, packet: Packet[VideoStream]) -> bool:
        """Return whether a picture's header denies content that is there."""
        return self._read(bytes(packet))

    def _read(self, data: bytes) -> bool:
        hides = False
        for unit in data.split(_START)[1:]:
            try:
                if unit[0] in _LAYERS:
                    self._tick_bits = _tick_bits(_Bits(unit[1:]))
                elif unit[0] == _PICTURE_4 and self._tick_bits is not None:
                    hides |= _denies_content(unit[1:], self._tick_bits)
            except IndexError:
                continue
        return hides


class _Bits:
    """Reads bits from the front of ``data``; raises an `IndexError` beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.read = 0

    def take(self, count: int = 1) -> int:
        """Read an integer of ``count`` bits."""
        value = 0
        for at in range(self.read, self.read + count):
            value = value << 1 | self._data[at // 8] >> (7 - at % 8) & 1
        self.read += count
        return value


def _tick_bits(header: _Bits) -> int | None:
    """Return the length of the times in pictures' headers, in bits; None if they have others."""
    header.take(1)
    if header.take(8) in _STUDIO:
        return None
    version = 1
    if header.take():
        version = header.take(4)
        header.take(3)
    if header.take(4) == _OTHER_ASPECT:
        header.take(16)
    if header.take():
        header.take(3)
        if header.take():
            header.take(_BUFFER_BITS)
    if header.take(2) == _GREY_SHAPE and version != 1:
        header.take(4)
    header.take()
    ticks_per_second = header.take(16)
    return max((ticks_per_second - 1).bit_length(), 1)


def _denies_content(picture: bytes, tick_bits: int) -> bool:
    """Return whether more than padding follows a header that says that there is no content."""
    header = _Bits(picture)
    header.take(2)
    while header.take():  # One bit for each second since the picture before.
        pass
    header.take(1 + tick_bits + 1)
    if header.take():
        return False
    rest = picture[-(-header.read // 8) :]
    return len(rest.rstrip(b"\0")) > _PADDING_BYTES
