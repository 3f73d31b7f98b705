"""Matroska files with codecs that FFmpeg's Matroska muxer takes and does not list.

It stores A-law, ADPCM, WMA, AMR and others in the way of AVI. PyAV asks FFmpeg for the codecs of a
format before it adds a track, and that answer leaves these out; of ``tee``, through which the same
muxer is reached as well, it cannot be asked. What ``tee`` does not pass on is done here.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

if TYPE_CHECKING:
    from av.container.core import Chapter

TICK: Final = Fraction(1, 1_000_000)
"""What tracks tick at; no two packets of one share a tick."""

_CHAPTERS: Final = bytes.fromhex("1043a770")
_SEEK_HEAD: Final = bytes.fromhex("114d9b74")
_CRC: Final = bytes.fromhex("bf84")
_CRC_BYTES: Final = 6
_SEEK: Final = bytes.fromhex("4dbb9253ab84") + _CHAPTERS + bytes.fromhex("53ac88")
"""What an entry of a table of contents begins with that says where chapters are, in 8 bytes."""
_VOID: Final = bytes.fromhex("ec01")
_VOID_HEADER: Final = 9
_HEAD_BYTES: Final = 4096
_LONG: Final = 1 << 56
"""What a length of 8 bytes is marked by."""
_MEDIUM: Final = 1 << 28
"""What a length of 4 bytes is marked by."""


def open_detour(path: Path, options: Mapping[str, str]) -> OutputContainer:
    """Open a new Matroska file that takes any codec; ``options`` are the muxer's."""
    words = ":".join(["f=matroska", *(f"{name}={value}" for name, value in options.items())])
    # (A list of outputs is split at bars.)
    target = "".join(f"\\{c}" if c in "\\'|" else c for c in str(path.absolute()))
    return av.open(f"[{words}]{target}", "w", format="tee")


def is_detour(output: OutputContainer) -> bool:
    """Tell whether a file is one of `open_detour`."""
    return output.format.name == "tee"


class Apart:
    """Gives packets that share a millisecond microseconds of their own, as ``tee`` demands."""

    def __init__(self) -> None:
        self._latest: dict[int, int] = {}

    def stamp(self, packet: Packet[Stream]) -> None:
        """Bring a packet to `TICK`, after those of its track."""
        tick, index = packet.time_base / TICK, packet.stream_index
        dts = int(((packet.dts if packet.dts is not None else packet.pts) or 0) * tick)
        dts = max(dts, self._latest.get(index, dts - 1) + 1)
        packet.pts = max(dts, int((packet.pts or 0) * tick))
        packet.duration = int((packet.duration or 0) * tick)
        packet.dts, packet.time_base = dts, TICK
        self._latest[index] = dts


def add_chapters(path: Path, chapters: Sequence[Chapter]) -> None:
    """Append chapters to a file of `open_detour` that was closed; ``tee`` passes none on.

    They are what FFmpeg's muxer writes, behind all else, and its table of contents names them: it
    leaves room in that for entries to come.
    """
    if not chapters:
        return
    written = _written(chapters)
    with path.open("r+b") as file:
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
    """Return the element at a place: its kind, and where its content begins and ends."""
    length_at = at + 9 - data[at].bit_length()
    size = 9 - data[length_at].bit_length()
    begin = length_at + size
    length = int.from_bytes(data[length_at:begin], "big") & ((1 << 7 * size) - 1)
    return _Element(data[at:length_at], begin, begin + length)


def _contents(head: bytes, at: int, chapters_at: int) -> bytes:
    """Return a segment's table of contents with an entry more, as long as it and its filling."""
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
    """Return chapters as FFmpeg writes them, beside a track of text without any."""
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
