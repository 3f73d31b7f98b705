"""What the splitter accepts, and what it spends on one upload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.contracts.errors import SourceRefused

_CUT: Final = "cut it, or have a part of it painted (duration)"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a source, all checked against what is really decoded, never against headers.

    The defaults allow 8K pictures and a feature film. The operator can set all fields but
    ``min_side``, ``max_side`` and ``side_bytes``.
    """

    max_bytes: int = 20_000_000_000
    """The file's size."""
    max_pixels: int = 8192 * 4352
    """Width times height of a coded picture."""
    min_side: int = 2
    """The shorter side of the picture, in pixels."""
    max_side: int = 16384
    """The longer side of the picture, in pixels; x264 takes no more."""
    max_frames: int = 500_000
    max_duration_s: float = 6 * 3600.0
    """From the first frame's timestamp to the last one's."""
    max_rate: float = 1000.0
    """Frames a second, on average over the video; short bursts may exceed it."""
    min_decodable: float = 0.25
    """The share of the video's packets that must decode; below it, a damaged file is refused."""
    memory_bytes: int = 4 * 1024**3
    """Memory that decoding may use, beyond that of the process at its start."""
    cpu_s: int = 12 * 3600
    """Processor time of the decoding process."""
    side_bytes: int = 4 * 1024**3
    """Size of the side file with the copied tracks."""

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of frames that may wait between the threads of a split."""
        return self.memory_bytes // 8


def too_many_pixels(limits: Limits, size: str, *, in_memory: bool = False) -> SourceRefused:
    """Return the refusal of a picture beyond the pixel limit; ``size`` is like ``640x480``.

    ``in_memory``: it is the size at which a decoder keeps the picture, possibly with margins.
    """
    what = "The decoder needs room for a picture of" if in_memory else "The picture is"
    most = f"at most {limits.max_pixels} pixels are accepted"
    return SourceRefused("TOO_LARGE", f"{what} {size}; {most}: scale it down.")


def too_many_frames(limits: Limits) -> SourceRefused:
    """Return the refusal of a video beyond the limit of frames."""
    why = f"The video has more than {limits.max_frames} frames"
    return SourceRefused("TOO_MANY_FRAMES", f"{why}: {_CUT}.")


def too_long(limits: Limits) -> SourceRefused:
    """Return the refusal of a video beyond the limit of its duration."""
    why = f"The video is longer than {limits.max_duration_s:.0f} s"
    return SourceRefused("TOO_LONG", f"{why}: {_CUT}.")
