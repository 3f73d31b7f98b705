"""How pictures are encoded on their way through the pipeline.

Splitters write `MEZZANINE`; stylizers write what `segment_encoding` returns, a pure function of the
chunk's event. So all segments of a job agree, whichever stylizers paint them on their CPUs.

Whatever the codec, a file is one closed GOP with its packets in display order. On the CPU it is
encoded on one thread, so the bytes are a pure function of the frames. A GPU's encoder does not
guarantee that, nor the same parameter sets as another one's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from shared.contracts.style_request import Codec, StyleRequest
from shared.media.instructions import read_cpuinfo, x264_instructions
from shared.media.nvidia import NVENC_SIZES

EIGHT_BITS: Final = 8
"""Bits per sample of most videos, and of what the style network paints."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoder of FFmpeg, its options and its pixel format.

    ``tag`` is the codec's tag in MP4 if players need another one than FFmpeg's default.
    """

    encoder: str
    options: Mapping[str, str]
    pixel_format: str = "yuv420p"
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    """The rate factors (or quantisers) for the qualities 0, `DEFAULT_QUALITY` and 100."""

    worst: int
    default: int
    best: int

    def factor(self, quality: int) -> int:
        if quality <= DEFAULT_QUALITY:
            return round(self.worst + (self.default - self.worst) * quality / DEFAULT_QUALITY)
        share = (quality - DEFAULT_QUALITY) / (100 - DEFAULT_QUALITY)
        return round(self.default + (self.best - self.default) * share)


DEFAULT_QUALITY: Final = 60
"""The default quality of a request."""

# One IDR frame however long the chunk is; 'cpu-independent' costs nothing at these presets and
# keeps the bytes the same on every x86 and Arm machine of a pool.
_X264: Final = (
    "keyint=infinite:scenecut=0:bframes=0:cpu-independent=1"
    f":asm={x264_instructions(read_cpuinfo())}"
)
_X265: Final = (
    "keyint=-1:scenecut=0:bframes=0:open-gop=0:pools=none:frame-threads=1:wpp=0:info=0"
    ":log-level=error"
)
# An AV1 packet shows one frame, in display order, even where frames refer to later ones.
_SVT_AV1: Final = "lp=1:keyint=-1:scd=0:pred-struct=2"

# At their usual factors the three come within 0.4 dB of each other on a painted clip.
_SCALES: Final[Mapping[Codec, _Scale]] = MappingProxyType(
    {"h264": _Scale(44, 20, 4), "hevc": _Scale(42, 18, 4), "av1": _Scale(63, 36, 8)}
)


# The quantisers at which x264 comes as close to a painted clip as at its factors above. A quantiser
# means the same to every H.264 encoder; only the size of the output differs.
_QUANTISER: Final = _Scale(45, 23, 7)

_ENDLESS: Final = 1 << 20
"""Frames in a GOP: more than a chunk can have."""


def _x264(preset: str, **quality: int) -> Encoding:
    return Encoding(
        "libx264",
        {
            "preset": preset,
            **{option: str(value) for option, value in quality.items()},
            "x264-params": _X264,
            # Decoded frames carry captions as side data, which must not get into the stream.
            "a53cc": "0",
        },
    )


# A constant quantiser, because a rate factor makes the encoder analyse each frame beforehand, to
# save bits where much moves: that takes a fifth of its time, for files that are a fifth larger and
# whose worst frame is worse. At 13, splitting takes 0.98 of its time at 12 and files are 7 to 18 %
# smaller; an unpainted video comes back 0.05 to 0.13 dB poorer, and up to 0.4 dB at 14.
MEZZANINE: Final = _x264("ultrafast", qp=13)
"""What travels between splitter and stylizer: visually lossless, and cheap on both sides."""


def segment_encoding(style: StyleRequest, bit_depth: int = EIGHT_BITS) -> Encoding:
    """Return how the segments of a job are encoded; its video has ``bit_depth`` bits per sample.

    HEVC and AV1 get 10 bits if the video has more than 8. H.264 always gets 8: browsers and most
    televisions do not decode it with more.
    """
    factor = _SCALES[style.codec].factor(_quality(style))
    pixel_format = "yuv420p10le" if bit_depth > EIGHT_BITS else "yuv420p"
    match style.codec:
        case "h264":
            return _x264("superfast", crf=factor)
        case "hevc":
            options = {
                "preset": "superfast",
                "crf": str(factor),
                "x265-params": _X265,
                "a53cc": "0",
            }
            # Apple's players open HEVC only with this tag.
            return Encoding("libx265", options, pixel_format, "hvc1")
        case "av1":
            # SVT-AV1 prints its settings on stderr for every chunk, unless this is set.
            os.environ.setdefault("SVT_LOG", "1")
            options = {"preset": "8", "crf": str(factor), "svtav1-params": _SVT_AV1}
            return Encoding("libsvtav1", options, pixel_format)


def _quality(style: StyleRequest) -> int:
    return DEFAULT_QUALITY if style.quality is None else style.quality


def nvenc_segment_encoding(style: StyleRequest, width: int, height: int) -> Encoding | None:
    """Return how NVENC, the encoder of an NVIDIA GPU, encodes a job's segments.

    None if the job is left to the CPU, on every machine alike: HEVC and AV1, whose support depends
    on the GPU, and sizes that some GPUs do not support.
    """
    if style.codec != "h264" or not NVENC_SIZES.takes(width, height):
        return None
    quantiser = str(_QUANTISER.factor(_quality(style)))
    return Encoding(
        "h264_nvenc",
        {
            "preset": "p4",
            "tune": "hq",
            "profile": "high",
            # A constant quantiser has no rate control state: every segment of a job begins alike,
            # whatever came before, and carries the same parameter sets.
            "rc": "constqp",
            **dict.fromkeys(("init_qpI", "init_qpP", "init_qpB"), quantiser),
            "g": str(_ENDLESS),
            "bf": "0",
            "rc-lookahead": "0",
            "a53cc": "0",
        },
    )


SEGMENT: Final = segment_encoding(StyleRequest(style="none"))
"""The encoding of a request with default settings."""


def smallest_side(codec: Codec) -> int:
    """Return the least width and height that a codec's encoder supports, in pixels."""
    return {"h264": 2, "hevc": 16, "av1": 4}[codec]
