"""The part of a video that is painted: all of it, or an excerpt to try a style on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Self

from shared.contracts.style_request import StyleRequest

if TYPE_CHECKING:
    from av.container.core import Chapter
    from av.packet import Packet
    from av.stream import Stream


@dataclass(frozen=True, slots=True)
class Part:
    """Which frames are kept: see `StyleRequest`. Times in milliseconds of the whole result."""

    start_ms: int = 0
    duration_ms: int | None = None
    max_frames: int | None = None

    @classmethod
    def of(cls, request: StyleRequest) -> Self:
        """Return the part that a request asks for."""
        duration = request.duration
        return cls(
            start_ms=round(request.start * 1000),
            duration_ms=None if duration is None else round(duration * 1000),
            max_frames=request.max_frames,
        )

    @property
    def is_whole(self) -> bool:
        """Whether nothing is cut."""
        return self == Part()

    @property
    def start(self) -> Fraction:
        """Where the part begins, in seconds."""
        return Fraction(self.start_ms, 1000)

    @property
    def length(self) -> Fraction | None:
        """How long the part may be, in seconds; None if unbounded."""
        return None if self.duration_ms is None else Fraction(self.duration_ms, 1000)

    def cut(self, chapters: Iterable[Chapter], start: Fraction) -> Iterator[Chapter]:
        """Yield the chapters clipped to the part, with ``start``, in seconds, moved to zero."""
        for chapter in chapters:
            tick = chapter["time_base"] or Fraction(1)
            moved = round(start / tick)
            begin, end = chapter["start"] - moved, chapter["end"] - moved
            if not self.is_whole:
                begin = max(begin, 0)
                if self.length is not None:
                    end = min(end, int(self.length / tick))
                if begin >= end:
                    continue
            yield {**chapter, "start": begin, "end": end}

    def holds(self, packet: Packet[Stream], end: int | None, *, is_text: bool) -> bool:
        """Shorten a copied packet to the part; return whether anything of it is left.

        ``end`` is the part's end, in the packet's ticks; the part begins at 0.
        """
        if self.is_whole:
            return True
        begin, duration = packet.pts or 0, packet.duration or 0
        if self.start_ms and begin < 0:
            if begin + duration <= 0:
                return False
            if is_text:
                packet.pts = packet.dts = 0
                begin, duration = 0, begin + duration
        if end is not None:
            if begin >= end:
                return False
            duration = min(duration, end - begin)
        packet.duration = duration
        return True
