"""The one place where a frame is normalised.

Whatever the decoder returns, the output is upright, of even size, ``yuv420p`` in 8 bits, BT.709 in
limited range, and tagged accordingly. Ordinary high definition video passes through untouched.

Rules:

- Size: that of the first frame, upright, with odd sides rounded up by repeating the last row or
  column. With ``max_side`` a larger picture is scaled down, keeping its shape within a pixel.
  Frames of another size in the same video are scaled to the first one's.
- Colour: a tagged matrix is trusted. An untagged picture counts as BT.709 if it is high definition
  (at least 1280 wide or 720 high, in either orientation) and as BT.601 otherwise, as players
  assume. The primaries of BT.601 and BT.709 are so close that they are not converted.
- High dynamic range and wide gamut are converted to BT.709 by `tonemap`, and interlaced frames to
  progressive ones by `deinterlace`.
- Alpha is dropped, grey gets neutral chroma, and higher chroma resolutions and bit depths are
  reduced to 4:2:0 in 8 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from shared.media.pixels import plane_arrays, tag_as_bt709
from splitter.media.deinterlace import Deinterlacer
from splitter.media.graphs import FilterChain
from splitter.media.orientation import Orientation, orientation_of
from splitter.media.tonemap import Look, ToneMapper, look_of

_SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP

# Values of AVColorSpace, and their names in FFmpeg's colorspace filter.
_BT709 = 1
_BT601 = 6
_HD_SIDES = (1280, 720)
_MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020ncl",
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes that a video's frames go through.

    ``stored`` is the scaler's output, ``even`` the same with odd sides extended by one, and
    ``upright`` is ``even`` after rotation.
    """

    stored: tuple[int, int]
    even: tuple[int, int]
    upright: tuple[int, int]


def plan_geometry(
    width: int, height: int, orientation: Orientation, max_side: int | None
) -> Geometry:
    """Plan the sizes for pictures stored as ``width`` x ``height``."""
    stored = (width, height)
    if max_side is not None and max(stored) > max_side:
        scale = Fraction(max_side, max(stored))
        stored = (_even(width * scale), _even(height * scale))
    even = (stored[0] + stored[0] % 2, stored[1] + stored[1] % 2)
    return Geometry(stored, even, even[::-1] if orientation.transpose else even)


def _even(side: Fraction) -> int:
    return max(2, round(side / 2) * 2)


class Normaliser:
    """Convert every frame of one video to the pipeline's one pixel format."""

    def __init__(
        self,
        first: av.VideoFrame,
        *,
        max_side: int | None = None,
        orientation: Orientation | None = None,
    ) -> None:
        self._orientation = orientation or orientation_of(first)
        self._geometry = plan_geometry(first.width, first.height, self._orientation, max_side)
        odd = self._geometry.stored != self._geometry.even
        # Mirroring an odd side would shift the chroma that two columns or rows share.
        self._planar = "yuv444p" if odd and self._orientation.flips else "yuv420p"
        self._scaler = VideoReformatter()
        self._subsampler = VideoReformatter()
        self._deinterlacer = Deinterlacer()
        self._looks: dict[tuple[int, int], Look | None] = {}
        self._tone_mappers: dict[tuple[Look, str, int, int, int], ToneMapper] = {}
        self._chains: dict[tuple[str, str], FilterChain] = {}

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every frame in the output."""
        return self._geometry.upright

    @property
    def turned(self) -> bool:
        """Whether width and height are swapped."""
        return self._orientation.transpose

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Take one decoded frame and yield what is ready, in order, timestamps unchanged."""
        for whole in self._deinterlacer.push(frame):
            yield self._convert(whole)

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield what is still held back at the end of the video."""
        for whole in self._deinterlacer.flush():
            yield self._convert(whole)

    def _convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        pts, duration = frame.pts, frame.duration
        frame = self._to_planar(frame)
        if self._geometry.stored != self._geometry.even:
            frame = self._pad(frame)
        frame = self._to_bt709_upright(frame)
        frame.pts, frame.duration = pts, duration
        tag_as_bt709(frame)
        return frame

    def _to_planar(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Convert a frame to 8-bit planar YUV of the stored size; YUV keeps its matrix and range.

        RGB and tone-mapped frames become BT.709 in limited range.
        """
        size = self._geometry.stored
        flags = {"interpolation": _SCALING, "threads": 1}
        if frame.format.is_rgb or frame.format.has_palette:
            return self._scaler.reformat(
                frame,
                *size,
                self._planar,
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
                **flags,
            )
        if (look := self._look(frame)) is not None:
            return self._tone_mapper(look, frame).apply(frame)
        matrix, limits = _matrix_of(frame), _range_of(frame)
        # swscale must only change the layout: it does not know all matrices, and takes grey as
        # full range whatever its tag says.
        frame.colorspace, frame.color_range = _BT709, limits
        kept = ColorRange.JPEG if _is_grey(frame) else limits
        planar = self._scaler.reformat(frame, *size, self._planar, dst_color_range=kept, **flags)
        planar.colorspace, planar.color_range = matrix, limits
        return planar

    def _look(self, frame: av.VideoFrame) -> Look | None:
        # A frame whose side data was read is freed only by the garbage collector, and pictures
        # are large: one frame of each kind has to do.
        kind = (frame.color_trc, frame.color_primaries)
        if kind not in self._looks:
            self._looks[kind] = look_of(frame)
        return self._looks[kind]

    def _tone_mapper(self, look: Look, frame: av.VideoFrame) -> ToneMapper:
        key = (look, frame.format.name, frame.width, frame.height, frame.color_range)
        if key not in self._tone_mappers:
            # Only the latest is kept: each holds a lattice of colours, and changes are rare.
            stored = self._geometry.stored
            self._tone_mappers = {key: ToneMapper(look, frame, stored, self._planar)}
        return self._tone_mappers[key]

    def _pad(self, frame: av.VideoFrame) -> av.VideoFrame:
        padded = _repeat_edges(frame, self._geometry.even, self._orientation)
        if self._planar == "yuv420p":
            return padded
        return self._subsampler.reformat(
            padded,
            format="yuv420p",
            src_color_range=frame.color_range,
            dst_color_range=frame.color_range,
            interpolation=_SCALING,
            threads=1,
        )

    def _to_bt709_upright(self, frame: av.VideoFrame) -> av.VideoFrame:
        matrix = _MATRICES.get(frame.colorspace, "bt709")
        limits = "pc" if frame.color_range == ColorRange.JPEG else "tv"
        chain = self._chains.get((matrix, limits))
        if chain is None:
            filters = (
                [] if (matrix, limits) == ("bt709", "tv") else [_colour_filter(matrix, limits)]
            )
            filters += self._orientation.filters()
            chain = self._chains[matrix, limits] = FilterChain(self._geometry.even, filters)
        return chain.apply(frame)


def _colour_filter(matrix: str, limits: str) -> tuple[str, str]:
    # Same primaries and transfer on both sides: what is left is one matrix product on YUV, which
    # is ten times as fast as swscale's conversion through RGB, and exact to one level.
    return (
        "colorspace",
        f"ispace={matrix}:irange={limits}:iprimaries=bt709:itrc=bt709"
        ":space=bt709:range=tv:primaries=bt709:trc=bt709",
    )


def _matrix_of(frame: av.VideoFrame) -> int:
    if frame.colorspace in _MATRICES and frame.colorspace != 0:
        return frame.colorspace
    sides = sorted((frame.width, frame.height), reverse=True)
    is_hd = any(side >= hd for side, hd in zip(sides, _HD_SIDES, strict=True))
    return _BT709 if is_hd else _BT601


def _range_of(frame: av.VideoFrame) -> int:
    if frame.color_range == ColorRange.UNSPECIFIED and _is_grey(frame):
        return ColorRange.JPEG
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return ColorRange.JPEG if full else ColorRange.MPEG


def _is_grey(frame: av.VideoFrame) -> bool:
    return frame.format.name.startswith(("gray", "ya", "mono"))


def _repeat_edges(
    frame: av.VideoFrame, size: tuple[int, int], orientation: Orientation
) -> av.VideoFrame:
    """Extend a planar frame on the sides that are right and bottom once it is upright."""
    padded = av.VideoFrame(*size, frame.format.name)
    at_left, at_top = orientation.mirror_x, orientation.mirror_y
    if orientation.transpose:
        at_left, at_top = at_top, at_left
    for source, target in zip(plane_arrays(frame), plane_arrays(padded), strict=True):
        rows, columns = target.shape[0] - source.shape[0], target.shape[1] - source.shape[1]
        top, bottom = (rows, 0) if at_top else (0, rows)
        left, right = (columns, 0) if at_left else (0, columns)
        target[...] = np.pad(source, ((top, bottom), (left, right)), mode="edge")
    padded.colorspace = frame.colorspace
    padded.color_range = frame.color_range
    return padded
