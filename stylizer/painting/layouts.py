"""How frames lie in the arrays that networks take and give.

Networks see planar RGB. A processor converts frames before and after with swscale. A GPU takes the
video's own planes, half the bytes, and converts them as part of the network (`gpu_network`):
at 1920x1080 that spares the processor 13 ms of 45 for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import av

from shared.media.pixels import from_planar_rgb, plane_arrays, tag_as_bt709, to_planar_rgb
from stylizer.painting.frames import Frames, Memory, ordinary

MULTIPLE: Final = 4
"""Sides of pictures that networks take are multiples of so many pixels."""


class Layout(Protocol):
    """Puts ``yuv420p`` frames, BT.709 limited range, into arrays of uint8, and takes them out.

    A picture is rounded up to the network's grid of `MULTIPLE` pixels by repeating its edge.
    """

    def batch(self, number: int, width: int, height: int) -> Frames:
        """Return an array for so many frames of a size, with anything in it."""

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the width and height of the pictures in an array of ``shape``, with the edge."""

    def put(self, frame: av.VideoFrame, picture: Frames) -> None:
        """Write a frame into its place in a batch."""

    def take(self, picture: Frames, width: int, height: int) -> av.VideoFrame:
        """Return a new frame, without a timestamp, of a picture in a batch, without the edge."""


@dataclass(frozen=True, slots=True)
class Rgb:
    """Planar RGB, full range: arrays (N, 3, H, W)."""

    memory: Memory = ordinary

    def batch(self, number: int, width: int, height: int) -> Frames:
        """Return an array for so many frames; see `Layout`."""
        return self.memory((number, 3, _round_up(height), _round_up(width)))

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return width and height; see `Layout`."""
        return shape[3], shape[2]

    def put(self, frame: av.VideoFrame, picture: Frames) -> None:
        """Write a frame into its place; see `Layout`."""
        to_planar_rgb(frame, picture[:, : frame.height, : frame.width])
        _repeat_edge(picture, frame.height, frame.width)

    def take(self, picture: Frames, width: int, height: int) -> av.VideoFrame:
        """Return a new frame of a picture; see `Layout`."""
        return from_planar_rgb(picture[:, :height, :width])


@dataclass(frozen=True, slots=True)
class I420:
    """The planes Y, U and V, one after the other: arrays (N, 3 / 2 H, W)."""

    memory: Memory = ordinary

    def batch(self, number: int, width: int, height: int) -> Frames:
        """Return an array for so many frames; see `Layout`."""
        return self.memory((number, _round_up(height) * 3 // 2, _round_up(width)))

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return width and height; see `Layout`."""
        return shape[2], shape[1] * 2 // 3

    def put(self, frame: av.VideoFrame, picture: Frames) -> None:
        """Write a frame into its place; see `Layout`."""
        for plane, place in zip(plane_arrays(frame), _planes(picture), strict=True):
            height, width = plane.shape
            place[:height, :width] = plane
            _repeat_edge(place, height, width)

    def take(self, picture: Frames, width: int, height: int) -> av.VideoFrame:
        """Return a new frame of a picture; see `Layout`."""
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane, place in zip(plane_arrays(frame), _planes(picture), strict=True):
            rows, columns = plane.shape
            plane[...] = place[:rows, :columns]
        tag_as_bt709(frame)
        return frame


def _planes(picture: Frames) -> tuple[Frames, Frames, Frames]:
    """View Y, U and V of a picture (3 / 2 H, W) as (H, W) and twice (H / 2, W / 2)."""
    rows, width = picture.shape
    height = rows * 2 // 3
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return picture[:height], chroma[0], chroma[1]


def _repeat_edge(plane: Frames, height: int, width: int) -> None:
    """Fill what lies below and right of a picture (..., height, width) with its last pixels."""
    plane[..., height:, :width] = plane[..., height - 1 : height, :width]
    plane[..., width:] = plane[..., width - 1 : width]


def _round_up(length: int) -> int:
    return -(-length // MULTIPLE) * MULTIPLE


RGB: Final = Rgb()
