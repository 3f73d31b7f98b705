"""A segment's place in its video, as kept in its blob's metadata.

A player that shows segments while others are still being painted must know where each belongs
without reading those before it; with the place in the metadata, a listing of the blobs suffices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

from shared.contracts.manifest import Chunk
from shared.contracts.values import parse_fraction

ENCODER: Final = "encoder"
"""Metadata key of what encoded a segment: see `SegmentReady.encoder`."""

STYLES: Final = "styles"
"""Metadata key of the digest of the networks that painted it."""

UNPAINTED: Final = "unpainted"
"""Metadata key of why it shows the original frames. Storage accepts only ASCII values."""


@dataclass(frozen=True, slots=True)
class SegmentPlace:
    """When a segment is shown and for how long, in ticks of ``time_base`` seconds."""

    first_pts: int
    duration: int
    time_base: Fraction

    @classmethod
    def of(cls, chunk: Chunk, time_base: Fraction) -> Self:
        """Return the place of a chunk's segment."""
        return cls(chunk.first_pts, chunk.duration, time_base)

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self | None:
        """Return the place in a blob's metadata; None if it is missing or malformed."""
        try:
            return cls(
                int(metadata["first_pts"]),
                int(metadata["duration"]),
                parse_fraction(metadata["time_base"]),
            )
        except (KeyError, ValueError):
            return None

    def metadata(self) -> dict[str, str]:
        """Return the metadata that `read` understands."""
        return {
            "first_pts": str(self.first_pts),
            "duration": str(self.duration),
            "time_base": str(self.time_base),
        }

    @property
    def first_tick(self) -> int:
        """The first frame's time in ticks of the segment's file, which are ``1/denominator`` s."""
        return self.first_pts * self.time_base.numerator

    @property
    def start_s(self) -> Fraction:
        """When the segment begins, in seconds."""
        return self.first_pts * self.time_base

    @property
    def duration_s(self) -> Fraction:
        """How long the segment is shown, in seconds."""
        return self.duration * self.time_base
