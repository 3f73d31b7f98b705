"""The timestamps of a video's frames on the result's timeline."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import lcm

import av

from shared.contracts.errors import SourceRefused
from splitter.media.limits import Limits
from splitter.media.source import OpenSource, stream_time_base

_LONGEST_GAP = 2**31 - 1
"""MP4 counts the ticks from one frame to the next in 31 bits, as FFmpeg writes it."""

_RATE_SAMPLE = 1000
"""The average rate is judged each time so many frames have come."""

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
        self._longest = Fraction(limits.max_duration_s) / source.time_base
        # Ticks of the result per tick of the source and their offset, over one denominator:
        # whole numbers only, since this runs for every frame.
        scale = stream_time_base(source.video) / source.time_base
        offset = source.start / source.time_base
        self._den = lcm(scale.denominator, offset.denominator)
        self._scale = int(scale * self._den)
        self._offset = int(offset * self._den)
        self._first = 0
        self._last = 0
        self._step = self._nominal_step()
        self._duration = 0
        self._moved = 0
        self._guessed = 0
        self._unsure = 0
        self.frames = 0

    @property
    def end(self) -> int:
        """When the last frame's display ends, in ticks."""
        return self._last + max(self._duration or self._step, 1)

    def place(self, frame: av.VideoFrame) -> int:
        """Return the timestamp of the next frame in presentation order, in ticks.

        Raises:
            SourceRefused: the video exceeds a limit of number (``TOO_MANY_FRAMES``), length
                (``TOO_LONG``) or rate (``RATE_TOO_HIGH``), or its timestamps cannot be written
                (``BAD_TIMESTAMPS``).
        """
        pts = self._wanted(frame)
        if self.frames == 0:
            self._first = pts = max(pts, 0)
        elif pts <= self._last:
            self._moved += 1
            pts = self._last + 1
        else:
            self._step = pts - self._last
            if self._step > _LONGEST_GAP:
                raise SourceRefused(
                    "BAD_TIMESTAMPS",
                    f"The video stands still for {float(self._seconds(self._step)):.0f} s, "
                    "more than a file can say.",
                )
        self._last = pts
        self._duration = self._rounded(frame.duration * self._scale)
        self.frames += 1
        self._check()
        return pts

    def judge(self, format_name: str) -> None:
        """Refuse what only the end shows: a single picture, or too high a rate.

        Raises:
            SourceRefused: with the code ``NOT_A_VIDEO`` or ``RATE_TOO_HIGH``.
        """
        if self.frames == 1 and format_name in _STILL_FORMATS:
            raise SourceRefused("NOT_A_VIDEO", "The file is a still image, not a video.")
        self._check_rate()

    def warnings(self) -> Iterator[str]:
        """Tell what was changed about the source's timestamps."""
        if self._moved:
            yield f"{self._moved} frames did not come after the one before and were moved by a tick"
        if self._guessed:
            yield f"{self._guessed} frames had no timestamp and were shown in their turn"
        if self._source.rounds:
            yield "timestamps were rounded to microseconds"

    def _wanted(self, frame: av.VideoFrame) -> int:
        if frame.pts is not None:
            # Only the last frames may lack a timestamp without anything being wrong.
            self._guessed += self._unsure
            self._unsure = 0
            return self._rounded(frame.pts * self._scale - self._offset)
        self._unsure += 1
        return self._last + self._step if self.frames else 0

    def _rounded(self, parts: int) -> int:
        return (2 * parts + self._den) // (2 * self._den)

    def _check(self) -> None:
        limits = self._limits
        if self.frames > limits.max_frames:
            raise SourceRefused(
                "TOO_MANY_FRAMES", f"The video has more than {limits.max_frames} frames."
            )
        if self._last - self._first > self._longest:
            raise SourceRefused(
                "TOO_LONG", f"The video is longer than {limits.max_duration_s:.0f} s."
            )
        if self.frames % _RATE_SAMPLE == 0:
            self._check_rate()

    def _check_rate(self) -> None:
        seconds = self._seconds(self._last - self._first)
        if self.frames > _RATE_SAMPLE / 2 and self.frames - 1 > seconds * Fraction(
            self._limits.max_rate
        ):
            raise SourceRefused(
                "RATE_TOO_HIGH",
                f"The video has more than {self._limits.max_rate:g} frames a second.",
            )

    def _seconds(self, ticks: int) -> Fraction:
        return ticks * self._source.time_base

    def _nominal_step(self) -> int:
        rate = self._source.video.average_rate
        return max(round(1 / (rate * self._source.time_base)), 1) if rate else 1
