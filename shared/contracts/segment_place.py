"""A segment's place in its video, as its blob's metadata says it.

Whoever plays segments while others are still being painted must know where each belongs, without
reading those before it: a listing of the blobs tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

from shared.contracts.manifest import Chunk

ENCODER: Final = "encoder"
"""The name, in the same metadata, of what encoded a segment: see `SegmentReady.encoder`."""

STYLES: Final = "styles"
"""The name of a digest of the networks that painted it."""

UNPAINTED: Final = "unpainted"
"""The name of why it shows the original frames. Storage takes ASCII only."""


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """From when a segment is shown and for how long, in ticks of ``time_base`` seconds."""

    first_pts: int
    duration: int
    time_base: Fraction

    @classmethod
    def of(cls, chunk: Chunk, time_base: Fraction) -> Self:
        """Return the place of a chunk's segment."""
        return cls(chunk.first_pts, chunk.duration, time_base)

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self | None:
        """Return the place that a blob's metadata names; None when they name none."""
        try:
            return cls(
                int(metadata["first_pts"]),
                int(metadata["duration"]),
                Fraction(metadata["time_base"]),
            )
        except (KeyError, ValueError, ZeroDivisionError):
            return None

    def metadata(self) -> dict[str, str]:
        """Return the texts that `read` understands."""
        return {
            "first_pts": str(self.first_pts),
            "duration": str(self.duration),
            "time_base": str(self.time_base),
        }

    @property
    def first_tick(self) -> int:
        """The first frame's time in the ticks of the segment's file, whose numerator is 1."""
        return self.first_pts * self.time_base.numerator

    @property
    def start_s(self) -> Fraction:
        """When the segment begins, in seconds."""
        return self.first_pts * self.time_base

    @property
    def duration_s(self) -> Fraction:
        """How long the segment is shown, in seconds."""
        return self.duration * self.time_base
