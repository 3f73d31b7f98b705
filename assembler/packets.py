"""Packets of a video file: reading them, and checking that they are those that were written."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream


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
