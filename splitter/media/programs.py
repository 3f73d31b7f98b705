"""Tell the programs of a transport stream apart: broadcasters multiplex several into one.

FFmpeg knows them, but PyAV does not expose them. Their tables are repeated several times a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from splitter.media.program_map import HEADER_BYTES, TABLE, identifier, tracks_in
from splitter.media.transport_stream import layout_of

_PACKET_BYTES: Final = 188
_SYNC: Final = ord("G")
_CHECK_BYTES: Final = 4
_PROGRAMS: Final = 0x00


def tracks_beside(head: bytes, video: int) -> frozenset[int] | None:
    """Return the identifiers (PIDs) of the tracks in the programs that hold the track ``video``.

    ``head`` is the beginning of the file. Returns None if it does not contain the tables.
    """
    packets = list(_packets(head))
    found: set[int] = set()
    for table in _tables(packets, 0, _PROGRAMS):
        for at in range(8, len(table) - _CHECK_BYTES, 4):
            if any(table[at : at + 2]):
                for program in _tables(packets, identifier(table, at + 2), TABLE):
                    tracks = {track for track, _ in tracks_in(program)}
                    found |= tracks if video in tracks else set()
    return frozenset(found) or None


def _packets(head: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yield each packet's track (PID), whether a unit begins in it, and its payload."""
    layout = layout_of(head)
    if layout is None:
        return
    length, sync = layout
    for at in range(sync, len(head) - _PACKET_BYTES + 1, length):
        packet = head[at : at + _PACKET_BYTES]
        adaptation, has_payload = packet[3] & 0x20, packet[3] & 0x10
        if packet[0] == _SYNC and has_payload:
            begin = 5 + packet[4] if adaptation else 4
            yield identifier(packet, 1), bool(packet[1] & 0x40), packet[begin:]


def _tables(packets: list[tuple[int, bool, bytes]], track: int, kind: int) -> Iterator[bytes]:
    """Yield the first complete table on a track; it may span several packets."""
    table: bytes | None = None
    for number, begins, payload in packets:
        if number != track or not payload:
            continue
        if begins:
            table = payload[1 + payload[0] :]
        elif table is not None:
            table += payload
        if table is not None and len(table) >= HEADER_BYTES:
            length = HEADER_BYTES + (int.from_bytes(table[1:3], "big") & 0xFFF)
            if table[0] == kind and len(table) >= length:
                yield table[:length]
                return
