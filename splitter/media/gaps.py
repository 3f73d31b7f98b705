"""Count the packets that are missing from tracks whose packets follow one another without a gap.

Broadcasts have no index that would list them: only their timestamps show that some did not arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

from shared.media.containers import codec_name
from shared.media.packets import decoded_at

_STEADY: Final = ("mpeg", "mpegts", "asf")
"""Formats in which packets of sound follow one another without a gap, by their timestamps."""
_STEADY_CODECS: Final = frozenset(
    {"mp1", "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "wmav1", "wmav2"}
    | {"mpeg1video", "mpeg2video"}
)
"""Codecs in these formats whose packets have a constant duration: a missing one leaves a gap."""
_LOST_SHARE: Final = Fraction(3, 4)
"""A gap of at least this share of a packet's duration means that a packet is missing."""
_LEAST_GAP_S: Final = Fraction(1, 200)
_LONGEST_GAP_S: Final = Fraction(1)
"""A longer one is a pause, or a jump of the clock."""


class Gaps:
    """Compares the beginning of each packet with the end of the one before it on its track."""

    def __init__(self, container: str, streams: Iterable[Stream]) -> None:
        """``container`` is the format's name, ``streams`` are the tracks that are read."""
        self._kinds = {
            stream.index: stream.type
            for stream in streams
            if container in _STEADY and codec_name(stream) in _STEADY_CODECS
        }
        self._ends: dict[int, int] = {}
        self._gaps: Counter[int] = Counter()

    def note(self, packet: Packet[Stream]) -> None:
        """Process the next stored packet."""
        track = packet.stream_index
        stamp = decoded_at(packet)
        if track not in self._kinds or stamp is None or not packet.duration:
            return
        step = stamp - self._ends.get(track, stamp)
        gap, length = step * packet.time_base, packet.duration * packet.time_base
        if max(_LOST_SHARE * length, _LEAST_GAP_S) <= gap <= _LONGEST_GAP_S:
            self._gaps[track] += 1
        elif self._gaps[track] and _LOST_SHARE * length <= -gap <= length:
            # The demuxer gave a timestamp to the packet before the one that it belongs to.
            self._gaps[track] -= 1
        self._ends[track] = stamp + packet.duration

    def warnings(self) -> Iterator[str]:
        """Yield a sentence for each track that lacks packets."""
        for track, gaps in sorted((+self._gaps).items()):
            times = "one gap" if gaps == 1 else f"{gaps} gaps"
            kind = self._kinds[track]
            yield f"packets are missing from {kind} track {track}: its timestamps have {times}"
