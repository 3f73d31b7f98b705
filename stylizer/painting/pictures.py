"""Decides which frames of a chunk are painted: each one, unless it repeats the frame before.

A slide or a paused screen is the same picture for seconds. The network would paint each of its
frames the same, so it paints one, which is then shown at the times of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import av
import numpy as np

from shared.contracts.manifest import Chunk, GridShift, Place
from shared.contracts.style_schedule import Look
from shared.media.pixels import plane_arrays

LookOf = Callable[[av.VideoFrame], Look]
"""Returns the look that a frame is painted in."""

_UNMOVED: Final = GridShift(0, 0)

_Way = TypeVar("_Way", Place, GridShift)


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame to be painted, how, and the times (PTS) at which the result is shown.

    The camera has put it at ``place`` on the canvas and at ``shift`` on the network's grid.
    """

    frame: av.VideoFrame
    look: Look
    place: Place
    shift: GridShift
    pts: list[int]

    @property
    def has_moved(self) -> bool:
        """Whether the frame lies elsewhere on the network's grid than a still camera's."""
        return self.shift != _UNMOVED

    def is_painted_like(self, other: Picture) -> bool:
        """Return whether the network would paint both the same, to the bit."""
        return (self.look, self.place, self.shift) == (
            other.look,
            other.place,
            other.shift,
        ) and all(map(np.array_equal, plane_arrays(self.frame), plane_arrays(other.frame)))


def pictures(
    frames: Iterable[av.VideoFrame], chunk: Chunk | None, look_of: LookOf
) -> Iterator[Picture]:
    """Yield the pictures of consecutive ``yuv420p`` frames; one that repeats is yielded once.

    ``chunk`` says where the frames are; without one, the camera stands still.
    """
    places = _each(() if chunk is None else chunk.canvas, Place(0, 0))
    shifts = _each(() if chunk is None else chunk.grid, _UNMOVED)
    latest = None
    for frame, place, shift in zip(frames, places, shifts, strict=False):
        picture = Picture(frame, look_of(frame), place, shift, [frame.pts or 0])
        if latest is not None and latest.is_painted_like(picture):
            latest.pts.extend(picture.pts)
            continue
        if latest is not None:
            yield latest
        latest = picture
    if latest is not None:
        yield latest


def grouped(of: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Yield up to ``size`` consecutive pictures of one look and one array size at a time."""
    for _, alike in itertools.groupby(of, lambda picture: (picture.look, picture.has_moved)):
        while group := list(itertools.islice(alike, size)):
            yield group


def _each(given: Sequence[_Way], start: _Way) -> Iterator[_Way]:
    """Return a value for every frame; after the last one given, the camera stands still."""
    last = given[-1] if given else start
    return itertools.chain(given, itertools.repeat(last))
