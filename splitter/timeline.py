"""The timestamps of a video's frames on the result's timeline."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av

from shared.errors import SourceRefused
from splitter.limits import Limits
from splitter.source import OpenSource, stream_time_base

_LONGEST_GAP = 2**31 - 1
"""MP4 counts the ticks from one frame to the next in 31 bits, as FFmpeg writes it."""

_RATE_SAMPLE = 1000
"""From so many frames on, the average rate is judged."""

_STILL_FORMATS = ("gif",)
"""Formats that hold pictures as well as videos; one frame makes a picture."""


class Timeline:
    """Give every frame its exact, strictly increasing timestamp.

    A frame without a timestamp follows the one before at the usual distance. One that does not
    come after the one before is moved to the next tick: frames are never dropped.
    """

    def __init__(self, source: OpenSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._first = 0
        self._last = 0
        self._step = self._nominal_step()
        self._duration = 0
        self._moved = 0
        self._guessed = 0
        self.frames = 0

    @property
    def end(self) -> int:
        """When the last frame's display ends, in ticks."""
        return self._last + max(self._duration or self._step, 1)

    def place(self, frame: av.VideoFrame) -> int:
        """Return the timestamp of the next frame in presentation order, in ticks.

        Raise `SourceRefused` when the video exceeds a limit of number, length or rate.
        """
        pts = self._wanted(frame)
        if self.frames == 0:
            self._first = pts
        elif pts <= self._last:
            self._moved += 1
            pts = self._last + 1
        else:
            self._step = pts - self._last
        if pts - self._last > _LONGEST_GAP and self.frames:
            raise SourceRefused(
                "BAD_TIMESTAMPS",
                f"The video stands still for {float(self._seconds(pts - self._last)):.0f} s, "
                "more than a file can say.",
            )
        self._last = pts
        self._duration = self._ticks(frame.duration)
        self.frames += 1
        self._check(pts)
        return pts

    def judge(self, format_name: str) -> None:
        """Refuse what turns out to be a single picture."""
        if self.frames == 1 and format_name in _STILL_FORMATS:
            raise SourceRefused("NOT_A_VIDEO", "The file is a still image, not a video.")

    def warnings(self) -> Iterator[str]:
        """Tell what was changed about the source's timestamps."""
        if self._moved:
            yield f"{self._moved} frames did not come after the one before and were moved by a tick"
        if self._guessed:
            yield f"{self._guessed} frames had no timestamp and were given one"
        if self._source.rounds:
            yield "timestamps were rounded to microseconds"

    def _wanted(self, frame: av.VideoFrame) -> int:
        known = frame.pts if frame.pts is not None else frame.dts
        if known is not None:
            return self._source.to_ticks(known)
        self._guessed += 1
        return self._last + self._step if self.frames else 0

    def _check(self, pts: int) -> None:
        limits = self._limits
        if self.frames > limits.max_frames:
            raise SourceRefused(
                "TOO_MANY_FRAMES", f"The video has more than {limits.max_frames} frames."
            )
        seconds = self._seconds(pts - self._first)
        if seconds > limits.max_duration_s:
            raise SourceRefused(
                "TOO_LONG", f"The video is longer than {limits.max_duration_s:.0f} s."
            )
        if self.frames > _RATE_SAMPLE and self.frames - 1 > seconds * Fraction(limits.max_rate):
            raise SourceRefused(
                "RATE_TOO_HIGH", f"The video has more than {limits.max_rate:g} frames a second."
            )

    def _seconds(self, ticks: int) -> Fraction:
        return ticks * self._source.time_base

    def _ticks(self, duration: int) -> int:
        return round(duration * stream_time_base(self._source.video) / self._source.time_base)

    def _nominal_step(self) -> int:
        rate = self._source.video.average_rate
        return max(round(1 / (rate * self._source.time_base)), 1) if rate else 1
