"""The timestamps of a video's frames on the result's timeline."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, lcm

import av

from shared.contracts.errors import SourceRefused
from splitter.media.limits import Limits, too_long, too_many_frames
from splitter.media.part import Part
from splitter.media.rhythm import Rhythm
from splitter.media.source import OpenSource, stream_time_base

_LONGEST_GAP = 2**31 - 1
"""FFmpeg's MP4 muxer stores the ticks from one frame to the next in 31 bits."""

_LATEST = 2**62

_RATE_SAMPLE = 1000
"""The average rate is checked after every so many frames."""


class Timeline:
    """Give every frame an exact, strictly increasing timestamp.

    A frame without a timestamp follows the one before at the usual distance. A frame that does not
    come after the one before is moved to the next tick. Only frames that a player does not show are
    dropped: those before zero, unless still shown at zero, and those outside the requested part.
    """

    def __init__(self, source: OpenSource, limits: Limits, part: Part) -> None:
        self._source = source
        self._limits = limits
        self._part = part
        self._longest = Fraction(limits.max_duration_s) / source.time_base
        # Ticks of the result per tick of the source and their offset, over one denominator:
        # integers only, since this runs for every frame.
        scale = stream_time_base(source.video) / source.time_base
        offset = source.start / source.time_base
        self._den = lcm(scale.denominator, offset.denominator)
        self._scale = int(scale * self._den)
        self._offset = int(offset * self._den)
        self._until = None if part.length is None else ceil(part.length / source.time_base)
        self._early: av.VideoFrame | None = None
        self._first = 0
        self._last = 0
        self._latest: int | None = None
        self._step = self._nominal_step()
        self._duration = 0
        self._moved = 0
        self._rhythm = Rhythm()
        self._guessed = 0
        self._unsure = 0
        self._beyond: int | None = None
        self.frames = 0

    @property
    def end(self) -> int:
        """When the last frame's display ends, in ticks."""
        end = self._last + max(self._duration or self._step, 1)
        ends = [tick for tick in (end, self._beyond, self._until) if tick is not None]
        return max(min(ends), self._last + 1)

    @property
    def last_s(self) -> Fraction:
        """When the last frame begins, in seconds."""
        return self._seconds(self._last)

    @property
    def end_s(self) -> Fraction:
        """When the last frame's display ends, in seconds."""
        return self._seconds(self.end)

    @property
    def over(self) -> bool:
        """Whether a frame beyond the part has come."""
        return self._beyond is not None

    def place(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Take the next frame in presentation order; yield what is shown, ``pts`` in ticks.

        Raises:
            SourceRefused: the video exceeds a limit on its frames (``TOO_MANY_FRAMES``), duration
                (``TOO_LONG``) or rate (``RATE_TOO_HIGH``), or its timestamps cannot be written
                (``BAD_TIMESTAMPS``).
        """
        if self.over:
            return
        pts = self._latest = self._wanted(frame)
        if abs(pts) > _LATEST:
            raise SourceRefused(
                "BAD_TIMESTAMPS",
                "A frame's timestamp is too large to be stored in a file: convert the video, so "
                "that it gets other timestamps.",
            )
        if self.frames == 0 and pts < 0:
            frame.pts = pts
            self._early = frame
            return
        if self._early is not None and pts > 0:
            yield from self.flush()
        self._early = None
        if self._is_beyond(pts):
            self._beyond = max(pts, self._last + 1)
            return
        self._accept(frame, pts)
        yield frame

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield the last frame that begins before zero, if it is still shown at zero."""
        early, self._early = self._early, None
        if early is not None and not self._part.start_ms:
            self._accept(early, 0)
            yield early

    def judge(self) -> None:
        """Refuse what is known only at the end: an empty part, or too high a rate.

        Raises:
            SourceRefused: with the code ``NOTHING_TO_PAINT`` or ``RATE_TOO_HIGH``.
        """
        if self.frames == 0:
            raise SourceRefused(
                "NOTHING_TO_PAINT",
                f"No frame of the video begins at {float(self._part.start):g} s or later, "
                "within the part that was asked for: begin earlier.",
            )
        self._check_rate()

    def losses(self) -> Iterator[str]:
        """Yield what is missing, as shown by timestamps that contradict each other."""
        if self._moved and self._rhythm.has_gaps:
            yield (
                "frames are missing: the constant frame rate has gaps, and "
                f"{_frames(self._moved)} had the timestamp of another"
            )

    def warnings(self) -> Iterator[str]:
        """Yield what was changed about the source's timestamps."""
        if self._moved:
            yield (
                f"{_frames(self._moved)} had a timestamp no later than the previous frame's: moved "
                "by one tick"
            )
        if self._guessed:
            yield f"{_frames(self._guessed)} had no timestamp: shown in file order"
        if self._source.rounds:
            yield "timestamps were rounded to microseconds"

    def _accept(self, frame: av.VideoFrame, pts: int) -> None:
        duration = self._rounded(frame.duration * self._scale)
        # (A duration that no file can hold is a damaged number.)
        self._duration = duration if duration <= _LONGEST_GAP else 0
        if self.frames == 0:
            self._first = pts
        elif pts <= self._last:
            self._moved += 1
            pts = self._last + 1
        else:
            self._step = pts - self._last
            self._rhythm.note(self._step)
            if self._step > _LONGEST_GAP:
                raise SourceRefused(
                    "BAD_TIMESTAMPS",
                    f"The video shows one frame for {float(self._seconds(self._step)):.0f} s at a "
                    f"time base of {self._source.time_base} s; at most {_LONGEST_GAP} ticks are "
                    "possible.",
                )
        frame.pts = self._last = pts
        self.frames += 1
        self._check()

    def _is_beyond(self, pts: int) -> bool:
        if self._until is not None and pts >= self._until:
            return True
        return self._part.max_frames is not None and self.frames >= self._part.max_frames

    def _wanted(self, frame: av.VideoFrame) -> int:
        if frame.pts is not None:
            # Only the last frames may lack a timestamp without anything being wrong.
            self._guessed += self._unsure
            self._unsure = 0
            return self._rounded(frame.pts * self._scale - self._offset)
        self._unsure += 1
        if self.frames:
            return self._last + self._step
        if self._latest is not None:
            return self._latest + self._step
        return self._rounded(-self._offset) if self._part.start_ms else 0

    def _rounded(self, parts: int) -> int:
        return (2 * parts + self._den) // (2 * self._den)

    def _check(self) -> None:
        limits = self._limits
        if self.frames > limits.max_frames:
            raise too_many_frames(limits)
        if self._last - self._first > self._longest:
            raise too_long(limits)
        if self.frames % _RATE_SAMPLE == 0:
            self._check_rate()

    def _check_rate(self) -> None:
        seconds = self._seconds(self._last - self._first)
        if self.frames > _RATE_SAMPLE / 2 and self.frames - 1 > seconds * Fraction(
            self._limits.max_rate
        ):
            raise SourceRefused(
                "RATE_TOO_HIGH",
                f"The video has {float((self.frames - 1) / seconds) if seconds else 0:.0f} frames "
                f"a second; at most {self._limits.max_rate:g} are accepted: convert it to a lower "
                "rate.",
            )

    def _seconds(self, ticks: int) -> Fraction:
        return ticks * self._source.time_base

    def _nominal_step(self) -> int:
        rate = self._source.video.average_rate
        step = round(1 / (rate * self._source.time_base)) if rate else 1
        return step if 0 < step <= _LONGEST_GAP else 1


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
