"""Matroska files with codecs that FFmpeg's Matroska muxer supports but does not list.

It stores A-law, ADPCM, WMA, AMR and others as AVI does. Before it adds a track, PyAV asks FFmpeg
which codecs a format supports, and the answer omits these. The ``tee`` muxer leads to the same
muxer and has no such list. What ``tee`` does not pass on is done here.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from shared.media.packets import decoded_at

if TYPE_CHECKING:
    from av.container.core import Chapter

TICK: Final = Fraction(1, 1_000_000)
"""The time base of tracks; no two packets of a track share a tick."""

_CHAPTERS: Final = bytes.fromhex("1043a770")
_SEEK_HEAD: Final = bytes.fromhex("114d9b74")
_CRC: Final = bytes.fromhex("bf84")
_CRC_BYTES: Final = 6
_SEEK: Final = bytes.fromhex("4dbb9253ab84") + _CHAPTERS + bytes.fromhex("53ac88")
"""The start of a SeekHead entry for chapters; their position follows, in 8 bytes."""
_VOID: Final = bytes.fromhex("ec01")
_VOID_HEADER: Final = 9
_HEAD_BYTES: Final = 4096
_LONG: Final = 1 << 56
"""The marker of a length of 8 bytes."""
_MEDIUM: Final = 1 << 28
"""The marker of a length of 4 bytes."""


class NewFile(Protocol):
    """What is written into: a file, or an object that stands between the muxer and one."""

    def read(self, size: int, /) -> bytes: ...
    def write(self, data: bytes, /) -> int: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


def open_detour(file: Path | NewFile, options: Mapping[str, str]) -> OutputContainer:
    """Open a new Matroska file that takes any codec; ``options`` are the muxer's."""
    words = ":".join(["f=matroska", *(f"{name}={value}" for name, value in options.items())])
    if not isinstance(file, Path):
        return av.open(f"[{words}]file", "w", format="tee", io_open=lambda *_: file)
    # ("tee" splits its list of outputs at bars.)
    target = "".join(f"\\{c}" if c in "\\'|" else c for c in str(file.absolute()))
    return av.open(f"[{words}]{target}", "w", format="tee")


def is_detour(output: OutputContainer) -> bool:
    """Tell whether a file is from `open_detour`."""
    return output.format.name == "tee"


class TimestampSpreader:
    """Gives packets that share a millisecond distinct microseconds, as ``tee`` requires."""

    def __init__(self) -> None:
        self._latest: dict[int, int] = {}

    def stamp(self, packet: Packet[Stream]) -> None:
        """Convert a packet's times to `TICK`, later than those of its track's earlier packets."""
        tick, index = packet.time_base / TICK, packet.stream_index
        dts = int((decoded_at(packet) or 0) * tick)
        dts = max(dts, self._latest.get(index, dts - 1) + 1)
        packet.pts = max(dts, int((packet.pts or 0) * tick))
        packet.duration = int((packet.duration or 0) * tick)
        packet.dts, packet.time_base = dts, TICK
        self._latest[index] = dts


def add_chapters(file: NewFile, chapters: Sequence[Chapter]) -> None:
    """Append chapters to the file of a container from `open_detour` that is closed.

    ``tee`` does not pass them on. They are written as FFmpeg's muxer writes them, after everything
    else, and entered in its SeekHead, where it leaves room for more entries.
    """
    if not chapters:
        return
    written = _written(chapters)
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    segment = _element(head, _element(head, 0).end)
    end = file.seek(0, os.SEEK_END)
    file.write(written)
    file.seek(segment.begin - 8)
    file.write((_LONG | end + len(written) - segment.begin).to_bytes(8, "big"))
    file.write(_contents(head, segment.begin, end - segment.begin))


class _Element(NamedTuple):
    kind: bytes
    begin: int
    end: int


def _element(data: bytes, at: int) -> _Element:
    """Return the EBML element at an offset: its id, and where its content begins and ends."""
    length_at = at + 9 - data[at].bit_length()
    size = 9 - data[length_at].bit_length()
    begin = length_at + size
    length = int.from_bytes(data[length_at:begin], "big") & ((1 << 7 * size) - 1)
    return _Element(data[at:length_at], begin, begin + length)


def _contents(head: bytes, at: int, chapters_at: int) -> bytes:
    """Return a segment's SeekHead with one more entry, as long as the old one with its padding."""
    table = _element(head, at)
    entries = head[table.begin : table.end]
    if entries.startswith(_CRC):
        entries = entries[_CRC_BYTES:]
    entries += _SEEK + chapters_at.to_bytes(8, "big")
    content = _CRC + zlib.crc32(entries).to_bytes(4, "little") + entries
    new = _SEEK_HEAD + (_MEDIUM | len(content)).to_bytes(4, "big") + content
    left = _element(head, table.end).end - at - len(new) - _VOID_HEADER
    return new + _VOID + left.to_bytes(_VOID_HEADER - len(_VOID), "big") + bytes(left)


def _written(chapters: Sequence[Chapter]) -> bytes:
    """Return chapters as FFmpeg writes them in a file with an empty subtitle track."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska", options={"fflags": "+bitexact"}) as output:
        output.set_chapters(list(chapters))
        output.add_mux_stream("subrip")
        output.start_encoding()
    data = file.getvalue()
    at = _element(data, _element(data, 0).end).begin
    while (found := _element(data, at)).kind != _CHAPTERS:
        at = found.end
    return data[at : found.end]
