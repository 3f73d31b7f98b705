"""Compare when a file ends with when it should end by its header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

from shared.media.packets import shown_at
from splitter.media.source import OpenSource, stream_time_base

_TRACK_LENGTH: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""The form of the tag in which Matroska files give a track's duration."""

_EXACT: Final = frozenset({"avi", "mxf", "mxf_opatom", "ivf"})
"""Formats whose header counts the frames of each track."""

_ROUGH: Final = frozenset({"matroska,webm", "flv", "asf"})
"""Formats whose header gives the duration of the longest track."""

_LAST_BEGINS: Final = ("nut",)
"""Formats whose header gives when the last frame begins, not when it ends."""
_ROUNDED_S: Final = Fraction(1, 1000)
"""How far that may be from the last frame: it is rounded."""

_ROUGHLY_S: Final = Fraction(1, 4)
_LONGEST_STEP_S: Final = Fraction(1)


class PromisedEnd:
    """Follows how far the packets of a file reach, in seconds."""

    def __init__(self, source: OpenSource) -> None:
        self._video = source.video
        self._format = source.container.format.name
        self._promised, self._slack = _promise(source)
        self._of_all_tracks = (
            self._format in (*_ROUGH, *_LAST_BEGINS) and _track_length(source.video) is None
        )
        self._latest = Fraction(0)
        self._step = Fraction(0)

    def note(self, packet: Packet[Stream]) -> None:
        """Process the next stored packet."""
        # AVI gives only the time at which B-frames are decoded, not when they are shown.
        stamp = shown_at(packet)
        counts = self._of_all_tracks or packet.stream_index == self._video.index
        if self._promised is None or stamp is None or not counts:
            return
        begin = stamp * packet.time_base
        if begin > self._latest:
            length = (packet.duration or 0) * packet.time_base
            self._step = max(length, min(begin - self._latest, _LONGEST_STEP_S))
            self._latest = begin

    def warnings(self) -> Iterator[str]:
        """Yield a sentence if the file, read to its end, ends too soon."""
        if self._promised is None:
            return
        reached, slack = self._latest, _ROUNDED_S
        if self._format not in _LAST_BEGINS:
            reached, slack = reached + self._step, self._slack + self._step / 2
        if self._promised - reached > slack:
            yield (
                f"the file ends at {float(reached):.2f} s, but its header says "
                f"{float(self._promised):.2f} s"
            )


def _promise(source: OpenSource) -> tuple[Fraction | None, Fraction]:
    """Return when a file should end by its header, and the tolerance; both in seconds."""
    video, format_ = source.video, source.container.format.name
    length = _track_length(video)
    if length is not None:
        return length, Fraction(0)
    if format_ in _EXACT and video.duration and source.is_finalised:
        begin = (video.start_time or 0) * stream_time_base(video)
        return begin + video.duration * stream_time_base(video), Fraction(0)
    if format_ in (*_LAST_BEGINS, *_ROUGH) and source.container.duration:
        slack = _ROUGHLY_S if format_ in _ROUGH else Fraction(0)
        return Fraction(source.container.duration, 1_000_000), slack
    return None, Fraction(0)


def _track_length(video: Stream) -> Fraction | None:
    found = _TRACK_LENGTH.fullmatch(video.metadata.get("DURATION", "")[:18])
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)
