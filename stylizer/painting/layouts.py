"""How frames lie in the arrays that networks take and return.

Networks see planar RGB. On a processor, swscale converts frames before and after. A GPU takes the
video's own planes, half the bytes, and converts them as part of the network (`gpu_network`): at
1920x1080 that saves the processor 13 of 45 ms per frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import av
import numpy as np

from shared.media.pixels import from_planar_rgb, plane_arrays, tag_as_bt709, to_planar_rgb
from stylizer.painting.frames import Frames, Memory, ordinary

MULTIPLE: Final = 4
"""The sides of pictures that networks take are multiples of this many pixels."""

Corner = tuple[int, int]
"""Where a picture begins in its array: row and column."""

UPPER_LEFT: Final[Corner] = (0, 0)


class Layout(Protocol):
    """Copies ``yuv420p`` frames, BT.709 limited range, into uint8 arrays and back.

    A picture is padded to the network's grid of `MULTIPLE` pixels by repeating its edge.
    """

    def batch(self, number: int, width: int, height: int, room: int = 0) -> Frames:
        """Return an uninitialised array for ``number`` frames of a size.

        Their corners may lie up to ``room`` pixels down and across.
        """

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the width and height, padding included, of pictures in an array of ``shape``."""

    def put(self, frame: av.VideoFrame, picture: Frames, corner: Corner = UPPER_LEFT) -> None:
        """Write a frame into its place in a batch."""

    def take(
        self, picture: Frames, width: int, height: int, corner: Corner = UPPER_LEFT
    ) -> av.VideoFrame:
        """Return a batch's picture as a new frame, without its padding and without a timestamp."""


@dataclass(frozen=True, slots=True)
class Rgb:
    """Planar RGB, full range: arrays (N, 3, H, W)."""

    memory: Memory = ordinary

    def batch(self, number: int, width: int, height: int, room: int = 0) -> Frames:
        """Return an array for ``number`` frames; see `Layout`."""
        return self.memory((number, 3, _round_up(height + room), _round_up(width + room)))

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return width and height; see `Layout`."""
        return shape[3], shape[2]

    def put(self, frame: av.VideoFrame, picture: Frames, corner: Corner = UPPER_LEFT) -> None:
        """Write a frame into its place; see `Layout`."""
        top, left = corner
        bottom, right = top + frame.height, left + frame.width
        to_planar_rgb(frame, picture[:, top:bottom, left:right])
        _repeat_edge(picture, corner, frame.height, frame.width)

    def take(
        self, picture: Frames, width: int, height: int, corner: Corner = UPPER_LEFT
    ) -> av.VideoFrame:
        """Return a picture as a new frame; see `Layout`."""
        top, left = corner
        return from_planar_rgb(picture[:, top : top + height, left : left + width])


_SUBSAMPLED: Final = (1, 2, 2)
"""The factor by which each plane of 4:2:0 is subsampled."""


@dataclass(frozen=True, slots=True)
class I420:
    """The planes Y, U and V, one after the other: arrays (N, 3 / 2 H, W).

    At an odd corner, a frame's chroma samples lie between the array's, and are interpolated.
    """

    memory: Memory = ordinary

    def batch(self, number: int, width: int, height: int, room: int = 0) -> Frames:
        """Return an array for ``number`` frames; see `Layout`."""
        return self.memory((number, _round_up(height + room) * 3 // 2, _round_up(width + room)))

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return width and height; see `Layout`."""
        return shape[2], shape[1] * 2 // 3

    def put(self, frame: av.VideoFrame, picture: Frames, corner: Corner = UPPER_LEFT) -> None:
        """Write a frame into its place; see `Layout`."""
        planes = zip(plane_arrays(frame), _planes(picture), _SUBSAMPLED, strict=True)
        for plane, place, by in planes:
            shown = plane
            for axis, way in enumerate(corner):
                if way % by:
                    shown = _between(_with_edge(shown, axis), axis)
            (height, width), (top, left) = shown.shape, (way // by for way in corner)
            place[top : top + height, left : left + width] = shown
            _repeat_edge(place, (top, left), height, width)

    def take(
        self, picture: Frames, width: int, height: int, corner: Corner = UPPER_LEFT
    ) -> av.VideoFrame:
        """Return a picture as a new frame; see `Layout`."""
        frame = av.VideoFrame(width, height, "yuv420p")
        planes = zip(plane_arrays(frame), _planes(picture), _SUBSAMPLED, strict=True)
        for plane, place, by in planes:
            odd = [way % by for way in corner]
            ends = zip(corner, plane.shape, odd, strict=True)
            rows, columns = (slice(way // by, way // by + n + more) for way, n, more in ends)
            shown = place[rows, columns]
            for axis in (axis for axis in (0, 1) if odd[axis]):
                shown = _between(shown, axis)
            plane[...] = shown
        tag_as_bt709(frame)
        return frame


def _planes(picture: Frames) -> tuple[Frames, Frames, Frames]:
    """Return views of Y, U and V of a picture (3 / 2 H, W): (H, W) and twice (H / 2, W / 2)."""
    rows, width = picture.shape
    height = rows * 2 // 3
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return picture[:height], chroma[0], chroma[1]


def _with_edge(plane: Frames, axis: int) -> Frames:
    """Repeat the first and the last line along an axis."""
    return np.concatenate([plane.take([0], axis), plane, plane.take([-1], axis)], axis)


def _between(plane: Frames, axis: int) -> Frames:
    """Return the means of neighbouring lines along an axis, one fewer than there are lines."""
    one, other = (plane[:-1], plane[1:]) if axis == 0 else (plane[:, :-1], plane[:, 1:])
    mean = np.add(one, other, dtype=np.uint16)
    mean += 1
    mean >>= 1
    return mean.astype(np.uint8)


def _repeat_edge(plane: Frames, corner: Corner, height: int, width: int) -> None:
    """Fill the area around a picture (..., height, width) with its outermost pixels."""
    (top, left), columns = corner, slice(corner[1], corner[1] + width)
    bottom, right = top + height, left + width
    plane[..., :top, columns] = plane[..., top : top + 1, columns]
    plane[..., bottom:, columns] = plane[..., bottom - 1 : bottom, columns]
    plane[..., :left] = plane[..., left : left + 1]
    plane[..., right:] = plane[..., right - 1 : right]


def _round_up(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE


RGB: Final = Rgb()
