"""Single pictures for people to look at."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
from av.video.reformatter import ColorRange, Colorspace

_QUALITY: Final = 3
"""FFmpeg's scale for JPEG: 2 is the best, 31 the worst."""


def to_jpeg(frame: av.VideoFrame, longer_side: int | None = None) -> bytes:
    """Return a JPEG of a BT.709 limited range frame, scaled down to ``longer_side`` if larger."""
    scale = min(Fraction(1), Fraction(longer_side or 1 << 16, max(frame.width, frame.height)))
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    picture = frame.reformat(
        width,
        height,
        "yuvj420p",
        src_colorspace=Colorspace.ITU709,
        # JPEG is BT.601 by definition.
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )
    picture.pts = 0
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = width, height
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.color_range = ColorRange.JPEG
    encoder.qmin = encoder.qmax = _QUALITY
    encoder.options = {"flags": "+bitexact"}
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
