"""The clip that is painted: the sample, forwards and backwards, of any length."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.video.reformatter import ColorRange, Colorspace

from local.defaults import SAMPLE

_RATE: Final = 30


def write_clip(path: Path, frames: int, width: int, height: int) -> None:
    """Write ``frames`` frames of the sample at 30 frames/s, H.264, without sound.

    Playing it forwards and backwards keeps the movement continuous, as codecs expect.
    """
    with av.open(SAMPLE) as source:
        forth = [frame.reformat(width, height, "yuv420p") for frame in source.decode(video=0)]
    cycle = forth + forth[-2:0:-1]
    with av.open(path, "w") as clip:
        stream = clip.add_stream("libx264", rate=_RATE, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height = forth[0].width, forth[0].height
        stream.pix_fmt = "yuv420p"
        # Tagged, so that decoders need not guess the colours.
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        stream.codec_context.time_base = Fraction(1, _RATE)
        for index in range(frames):
            frame = cycle[index % len(cycle)]
            frame.pts, frame.time_base = index, Fraction(1, _RATE)
            # The encoder would take over the decoder's picture types.
            frame.pict_type = av.video.frame.PictureType.NONE
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode())
