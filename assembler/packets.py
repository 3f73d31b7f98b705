"""Reads side files and results: their tracks, and the packets that must come through unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from shared.media.containers import EMPTY_MOV_TEXT

_SIDE_FORMATS: Final = "mov,matroska,ffmetadata"
"""The formats in which the splitter writes side files."""
_RESULT_FORMATS: Final = "mov,matroska"


def open_side(path: Path) -> InputContainer:
    """Open the file in which the splitter left the copied tracks."""
    return _opened(path, _SIDE_FORMATS)


def open_result(path: Path) -> InputContainer:
    """Open a result that was written."""
    return _opened(path, _RESULT_FORMATS)


def _opened(path: Path, formats: str) -> InputContainer:
    options = {"format_whitelist": formats}
    return av.open(str(path.absolute()), "r", metadata_errors="replace", options=options)


def copied_streams(
    container: InputContainer, left_out: frozenset[int] = frozenset()
) -> list[Stream]:
    """Return a file's sound and text tracks, in order, except those ``left_out``."""
    streams = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
    return [stream for number, stream in enumerate(streams) if number not in left_out]


def number_of(stream: Stream) -> int:
    """Return the number of a copied track among those of its file, counted from 0."""
    container = stream.container
    assert isinstance(container, InputContainer)
    return [other.index for other in copied_streams(container)].index(stream.index)


def is_filler(packet: Packet[Stream]) -> bool:
    """Return whether a packet is an empty subtitle: MP4's muxer writes those itself."""
    return packet.size == len(EMPTY_MOV_TEXT) and bytes(packet) == EMPTY_MOV_TEXT


def packets_of(streams: Sequence[Stream]) -> Iterator[Packet[Stream]]:
    """Yield the packets of streams of one file that is being read, in the file's order."""
    if streams:
        container = streams[0].container
        assert isinstance(container, InputContainer)
        yield from (packet for packet in container.demux(list(streams)) if packet.size)


class PacketDigest:
    """A digest of one stream's packets, in their order."""

    def __init__(self) -> None:
        self._data = hashlib.sha256()

    def add(self, packet: Packet[Stream]) -> None:
        """Add the next packet."""
        self._data.update(packet.size.to_bytes(8, "big"))
        self._data.update(bytes(packet))

    @property
    def value(self) -> str:
        """The SHA-256, in hexadecimal."""
        return self._data.hexdigest()
