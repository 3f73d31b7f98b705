"""Sample pictures from all over a video before it is split, for what a single pass cannot know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import BinaryIO, Final

import av
import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from shared.contracts.errors import SourceRefused
from shared.contracts.manifest import NO_BARS, Bars
from splitter.media.bars import Lit, agree
from splitter.media.limits import Limits
from splitter.media.normalise import Normaliser
from splitter.media.source import OpenSource, capture_errors, open_source, stream_time_base

_PICTURES: Final = 12


def find_bars(file: BinaryIO, limits: Limits, max_side: int | None) -> Bars:
    """Return a video's black bars, in pixels of the normalised picture; none if unsure.

    The position of ``file`` is restored, and FFmpeg's messages do not reach other collectors.
    """
    position = file.tell()
    try:
        with capture_errors() as log:
            source = open_source(file, limits, log)
            with source.container:
                return agree(_lit(source, max_side))
    except (SourceRefused, av.error.FFmpegError):
        return NO_BARS
    finally:
        file.seek(position)


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
