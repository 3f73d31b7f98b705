"""Look at all of a video before it is split, for what a single pass would know too late."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from math import ceil
from typing import BinaryIO, Final

import av
import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from shared.contracts.errors import SourceRefused
from shared.contracts.manifest import NO_BARS, Bars
from shared.media.packets import shown_at
from splitter.media.bars import Lit, agree
from splitter.media.limits import Limits, too_long, too_many_frames
from splitter.media.normalise import Normaliser
from splitter.media.part import Part
from splitter.media.source import (
    OpenSource,
    capture_errors,
    open_source,
    position_kept,
    stream_time_base,
)

_PICTURES: Final = 12


def check_length(file: BinaryIO, source: OpenSource, limits: Limits, part: Part) -> None:
    """Refuse a video that is too long before any of it is painted, as far as that can be known.

    A header alone is not believed: the tables of an MP4 must agree on the number of frames, and a
    picture beyond the longest duration must be there. The position of ``file`` is restored.

    Raises:
        SourceRefused: with the code ``TOO_MANY_FRAMES`` or ``TOO_LONG``.
    """
    if part.max_frames is not None or part.length is not None:
        return
    with position_kept(file):
        if part.is_whole and _count_frames(source, limits.max_frames) > limits.max_frames:
            raise too_many_frames(limits)
        if _is_shown_beyond(file, source, limits):
            raise too_long(limits)


def _count_frames(source: OpenSource, most: int) -> int:
    """Return how many frames the video's index has, if its header promises more than ``most``."""
    if source.video.frames <= most:
        return 0
    return source.read_index().counts.get(source.video.id, 0)


def _is_shown_beyond(file: BinaryIO, source: OpenSource, limits: Limits) -> bool:
    """Return whether the video, by its header and a later keyframe, is longer than allowed."""
    length = Fraction(source.container.duration or 0, av.time_base)
    if length <= limits.max_duration_s or source.is_broadcast:
        return False
    tick = stream_time_base(source.video)
    begin = max(source.start, (source.video.start_time or 0) * tick)
    end = begin + Fraction(limits.max_duration_s)
    try:
        with capture_errors() as log:
            again = open_source(file, limits, log)
            with again.container:
                again.container.seek(ceil(end / tick), stream=again.video, backward=False)
                packet = next(again.container.demux(again.video))
    except (SourceRefused, av.error.FFmpegError, StopIteration):
        return False
    stamp = shown_at(packet)
    return stamp is not None and stamp * tick > end


def find_bars(file: BinaryIO, limits: Limits, max_side: int | None) -> Bars:
    """Return a video's black bars, in pixels of the normalised picture; none if unsure.

    The position of ``file`` is restored, and FFmpeg's messages do not reach other collectors.
    """
    try:
        with position_kept(file), capture_errors() as log:
            source = open_source(file, limits, log)
            with source.container:
                return agree(_lit(source, max_side))
    except (SourceRefused, av.error.FFmpegError):
        return NO_BARS


def _lit(source: OpenSource, max_side: int | None) -> Iterator[Lit]:
    """Measure pictures at even distances, as far as the container is seekable.

    Seeking finds keyframes: if two places have the same one, it is decoded once and counts twice.
    """
    duration = source.container.duration
    if not duration:
        return
    length = Fraction(duration, av.time_base)
    tick = stream_time_base(source.video)
    normaliser: Normaliser | None = None
    keyframe: tuple[int | None, int | None] | None = None
    lit: list[Lit] = []
    for number in range(_PICTURES):
        at = source.start + length * (2 * number + 1) / (2 * _PICTURES)
        with contextlib.suppress(av.error.FFmpegError, IndexError):
            source.container.seek(int(at / tick), stream=source.video)
            packets = source.container.demux(source.video)
            first = next(packets)
            found = (first.pos, first.dts)
            if found != keyframe:
                keyframe, lit = found, []
                frame = _first_frame(chain([first], packets))
                if frame is None or frame.is_corrupt:
                    continue
                normaliser = normaliser or Normaliser(frame, max_side=max_side)
                for push in (normaliser.push(frame), normaliser.flush()):
                    lit += map(Lit.of, push)
            yield from lit


def _first_frame(packets: Iterator[Packet[VideoStream]]) -> av.VideoFrame | None:
    return next((frame for packet in packets for frame in packet.decode()), None)
