"""Limit the size of copied tracks.

The kernel refuses a decoder's write once its file would grow beyond the limit, which would end the
split of a video that may be almost painted. So what does not fit is left out before that.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

from shared.media.packets import begins

_PACKET_BYTES: Final = 64
"""The most that a container adds to a packet, beside its data and in the index."""

_LEAST_SPARE_BYTES: Final = 16 * 1024
_SPARE_SHARE: Final = 64
"""One part in so many is reserved for headers, chapters and titles."""

_GIB: Final = 2**30


class Room:
    """The room in a side file of at most ``most_bytes``; once it is full, all else is left out."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._left = most_bytes - max(_LEAST_SPARE_BYTES, most_bytes // _SPARE_SHARE)
        self._full_at: Fraction | None = None

    def holds(self, packet: Packet[Stream]) -> bool:
        """Reserve room for a packet; return whether it and all packets before it fit."""
        if self._full_at is None:
            self._left -= packet.size + _PACKET_BYTES
            if self._left < 0:
                self._full_at = begins(packet)
        return self._full_at is None

    def losses(self) -> list[str]:
        """Return a sentence about what did not fit, if anything."""
        if self._full_at is None:
            return []
        return [
            f"sound and text from {float(self._full_at):.1f} s on are left out: a video's copied "
            f"tracks may take {self._most / _GIB:.1f} GiB in total"
        ]
