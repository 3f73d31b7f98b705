"""What splitter and assembler must agree on about side files and results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import lcm

from av.stream import Stream

FORMATS = {"mp4": "mp4", "mkv": "matroska"}
"""FFmpeg's muxer for each of `Source.container`'s values."""

MAX_TIMESCALE = 2**31 - 1
"""The most ticks a second that FFmpeg writes into an MP4."""

# What a muxer wrote about itself or about an old file's structure says nothing about a new one.
_STRUCTURAL = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})


def movie_timescale(rates: Iterable[int]) -> int:
    """Choose the ticks a second of an MP4's start offsets, given those of its tracks.

    Every track's ticks are whole numbers of them if there is such a number that is small enough;
    otherwise they are so fine that every start rounds to the right tick.
    """
    ticks, exact = 1, True
    for rate in rates:
        common = lcm(ticks, rate)
        if common <= MAX_TIMESCALE:
            ticks = common
        else:
            exact = False
    return ticks if exact else MAX_TIMESCALE // ticks * ticks


def carried_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return what a file's metadata says about its content."""
    return {key: value for key, value in metadata.items() if key.lower() not in _STRUCTURAL}


def track_metadata(stream: Stream) -> dict[str, str]:
    """Return what a player's menu shows of a track."""
    return {key: value for key, value in stream.metadata.items() if key in ("language", "title")}
