"""Crops and scales frames for the network, and puts what it painted back into them.

Black bars are left out, and a picture of many lines is painted at fewer, because strokes have the
same width in pixels whatever the picture's size. The result is scaled up and laid into the frame.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from shared.contracts.manifest import Bars, Place
from shared.contracts.style_request import painted_scale
from shared.media.pixels import plane_arrays

_SCALING: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
_QUARTERS: Final = 4
_SUBSAMPLED: Final = (1, 2, 2)
"""The factor by which each plane of 4:2:0 is subsampled."""


class _Scratch(threading.local):
    """What a thread reuses from frame to frame; swscale contexts must not be shared."""

    def __init__(self) -> None:
        self.smaller = VideoReformatter()
        self.larger = VideoReformatter()


_scratch = _Scratch()


@dataclass(frozen=True, slots=True)
class Framing:
    """The part of a ``yuv420p`` picture that is painted, and at which size; all even numbers.

    The part begins ``left`` and ``top`` pixels from the corner, is ``size`` (width, height) large,
    and is painted at ``working`` size.
    """

    whole: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]
    working: tuple[int, int]

    @classmethod
    def of(cls, width: int, height: int, bars: Bars, lines: int) -> Self:
        """Frame pictures of ``width`` x ``height`` between ``bars``, painted at ``lines`` lines."""
        inside = (width - bars.left - bars.right, height - bars.top - bars.bottom)
        scale = painted_scale(width, height, lines)
        working = tuple(max(2, round(side * scale / 2) * 2) for side in inside)
        if scale == 1:
            working = inside
        return cls((width, height), bars.left, bars.top, inside, (working[0], working[1]))

    @property
    def crops(self) -> bool:
        """Whether a part of the picture stays as it is."""
        return self.size != self.whole

    def place(self, place: Place, margin: tuple[int, int] = (0, 0)) -> Place:
        """Return the working picture's place on the canvas, given the frame's own.

        With a ``margin``, in pixels above and left of the picture, return the margin's corner.
        """
        corner = (place.down + _QUARTERS * self.top, place.across + _QUARTERS * self.left)
        down, across = (
            round(Fraction(way * small, large))
            for way, small, large in zip(corner, self.working[::-1], self.size[::-1], strict=True)
        )
        return Place(down - _QUARTERS * margin[0], across - _QUARTERS * margin[1])

    def to_working_size(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the part of a frame that is painted, at working size."""
        return _scaled(_scratch.smaller, self.cut(frame), self.working)

    def to_frame_size(self, painted: av.VideoFrame) -> av.VideoFrame:
        """Scale a painted picture to its size in the frame."""
        return _scaled(_scratch.larger, painted, self.size)

    def surround(self, painted: av.VideoFrame, original: av.VideoFrame) -> av.VideoFrame:
        """Return a copy of the original frame with the painted part in its place.

        The original must not change, because its decoder may still refer to it.
        """
        whole = _like(original, self.whole)
        _copy(plane_arrays(original), plane_arrays(whole))
        _copy(plane_arrays(painted), self._cut(whole))
        return whole

    def cut(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return the part of a frame that is painted, unscaled, as a frame of its own."""
        if not self.crops:
            return frame
        part = _like(frame, self.size)
        _copy(self._cut(frame), plane_arrays(part))
        return part

    def _cut(self, frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
        width, height = self.size
        return [
            plane[
                self.top // by : (self.top + height) // by,
                self.left // by : (self.left + width) // by,
            ]
            for plane, by in zip(plane_arrays(frame), _SUBSAMPLED, strict=True)
        ]


def _like(frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    new = av.VideoFrame(*size, frame.format.name)
    new.colorspace, new.color_range = frame.colorspace, frame.color_range
    new.color_primaries, new.color_trc = frame.color_primaries, frame.color_trc
    return new


def _copy(source: Sequence[NDArray[np.uint8]], target: Sequence[NDArray[np.uint8]]) -> None:
    for one, other in zip(source, target, strict=True):
        other[...] = one


def _scaled(scaler: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    if (frame.width, frame.height) == size:
        return frame
    scaled = scaler.reformat(frame, *size, interpolation=_SCALING, threads=1)
    scaled.color_primaries, scaled.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return scaled
