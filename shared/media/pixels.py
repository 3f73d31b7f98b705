"""Converts between decoded frames and the planar RGB that the style network takes.

Frames are ``yuv420p`` in BT.709 limited range; arrays are uint8 of shape ``(3, height, width)``
in the order R, G, B, full range. Both directions run in swscale, with chroma sited where H.264
puts it by default (left), so that a frame which is only converted there and back is not shifted.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

import av
import av.filter
import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from numpy.typing import NDArray

# Without accurate rounding swscale takes a shortcut that is ten times as fast, repeats chroma
# instead of interpolating it, and darkens every channel by one level on average.
_TO_RGB = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
# The other way, 'bitexact' suffices: it rounds to the nearest level as well, with the same bytes as
# accurate rounding, in two thirds of the time.
_FROM_RGB = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP | Interpolation.BITEXACT

BLACK: Final = 24
"""The highest luma that counts as black, which is nominally 16: encoders leave some noise."""

# FFmpeg stores planar RGB as G, B, R.
_PLANE_OF_CHANNEL = (2, 0, 1)


class _Scratch(threading.local):
    """What a thread reuses from frame to frame; swscale contexts must not be shared."""

    def __init__(self) -> None:
        self.to_rgb = VideoReformatter()
        self.from_rgb = VideoReformatter()
        self.frame: av.VideoFrame | None = None

    def rgb_frame(self, width: int, height: int) -> av.VideoFrame:
        if self.frame is None or (self.frame.width, self.frame.height) != (width, height):
            self.frame = _left_sited_frame(width, height)
        return self.frame


_scratch = _Scratch()


def to_planar_rgb(frame: av.VideoFrame, out: NDArray[np.uint8]) -> None:
    """Write a frame's pixels into ``out``, a uint8 array of shape ``(3, height, width)``.

    The frame is taken as BT.709 limited range, whatever its tags say. ``out`` may be any view
    whose shape fits, such as one picture of a batch.
    """
    if out.shape != (3, frame.height, frame.width) or out.dtype != np.uint8:
        raise ValueError(f"{out.dtype} {out.shape} cannot hold {frame.width}x{frame.height} RGB")
    converted = _scratch.to_rgb.reformat(
        frame,
        format="gbrp",
        src_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_TO_RGB,
        threads=1,
    )
    planes = plane_arrays(converted)
    for channel, plane in enumerate(_PLANE_OF_CHANNEL):
        out[channel] = planes[plane]


def from_planar_rgb(planes: NDArray[np.uint8]) -> av.VideoFrame:
    """Return a new ``yuv420p`` frame, in BT.709 limited range and tagged so, from an RGB array.

    ``planes`` is uint8 of shape ``(3, height, width)``. The frame has no timestamp yet.
    """
    channels, height, width = planes.shape
    if channels != len(_PLANE_OF_CHANNEL) or planes.dtype != np.uint8:
        raise ValueError(f"{planes.dtype} {planes.shape} is not a planar RGB picture")
    scratch = _scratch.rgb_frame(width, height)
    targets = plane_arrays(scratch)
    for channel, plane in enumerate(_PLANE_OF_CHANNEL):
        targets[plane][...] = planes[channel]
    frame = _scratch.from_rgb.reformat(
        scratch,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=_FROM_RGB,
        threads=1,
    )
    frame.pts = None
    tag_as_bt709(frame)
    return frame


def tag_as_bt709(frame: av.VideoFrame) -> None:
    """Tag a frame's colours as BT.709, limited range."""
    frame.colorspace = Colorspace.ITU709
    frame.color_range = ColorRange.MPEG
    frame.color_primaries = ColorPrimaries.BT709
    frame.color_trc = ColorTrc.BT709


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """View the first plane of an 8-bit planar frame as `plane_arrays` does."""
    return _view(frame.planes[0])


def plane_arrays(frame: av.VideoFrame) -> Sequence[NDArray[np.uint8]]:
    """View the planes of an 8-bit planar frame as arrays of shape ``(rows, columns)``.

    The views share the frame's memory and leave out the padding at the end of rows.
    """
    return [_view(plane) for plane in frame.planes]


def _view(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    return np.ndarray(
        (plane.height, plane.width), np.uint8, memoryview(plane), strides=(plane.line_size, 1)
    )


def _left_sited_frame(width: int, height: int) -> av.VideoFrame:
    # Only a filter can set the chroma siting of a frame.
    graph = av.filter.Graph()
    source = graph.add("buffer", f"video_size={width}x{height}:pix_fmt=gbrp:time_base=1/1")
    tag = graph.add("setparams", "chroma_location=left:range=pc:colorspace=gbr")
    sink = graph.add("buffersink")
    graph.link_nodes(source, tag, sink).configure(auto_buffer=False)
    blank = av.VideoFrame(width, height, "gbrp")
    blank.pts = 0
    source.push(blank)
    frame = sink.pull()
    assert isinstance(frame, av.VideoFrame)
    return frame
