"""Merge subtitles that are shown at the same time, for MP4, which shows one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from av.packet import Packet
from av.stream import Stream

from shared.media.packets import shown_at, with_data
from splitter.media.captions import as_mov_text, plain


class _Cue(NamedTuple):
    end: int
    text: bytes


class CueSplicer:
    """Makes MP4 text samples from packets of plain text subtitles.

    An MP4 text track shows one sample at a time. While several subtitles are shown together, one
    sample has the lines of all of them, and a new one begins as soon as that changes.
    """

    def __init__(self, codec: str) -> None:
        """``codec`` is the codec of the packets."""
        self._codec = codec
        self._shown: list[_Cue] = []
        self._at: int | None = None
        self._like: Packet[Stream] | None = None

    def push(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """Yield the samples up to where ``packet`` begins, in the packet's ticks."""
        begin = shown_at(packet)
        if begin is None or not packet.duration:
            # It is shown until the next one, whenever that is.
            yield from self.flush()
            yield with_data(packet, as_mov_text(plain(bytes(packet), self._codec)))
            return
        yield from self._until(begin)
        self._like = packet
        self._at = begin if self._at is None else max(begin, self._at)
        self._shown.append(_Cue(begin + packet.duration, plain(bytes(packet), self._codec)))

    def flush(self) -> Iterator[Packet[Stream]]:
        """Yield the samples up to the end of the last subtitle."""
        yield from self._until(max((cue.end for cue in self._shown), default=0))

    def _until(self, limit: int) -> Iterator[Packet[Stream]]:
        while self._shown and self._at is not None and self._at < limit:
            end = min(limit, *(cue.end for cue in self._shown))
            if end > self._at:
                yield self._sample(self._at, end)
                self._at = end
            self._shown = [cue for cue in self._shown if cue.end > end]

    def _sample(self, begin: int, end: int) -> Packet[Stream]:
        assert self._like is not None
        # (Subtitles that are repeated with a little overlap are not shown twice.)
        lines = dict.fromkeys(cue.text for cue in self._shown)
        sample = with_data(self._like, as_mov_text(b"\n".join(lines)))
        sample.pts = sample.dts = begin
        sample.duration = end - begin
        return sample
