"""Manifests of jobs that never had a video."""

from __future__ import annotations

from fractions import Fraction

from shared.manifest import Chunk, Manifest, Source
from shared.styles.request import StyleRequest


def manifest(job: str, chunks: int) -> Manifest:
    """Return the manifest of a job with so many chunks of 8 frames."""
    return Manifest(
        job_id=job,
        video_url="u",
        video_name="v.mp4",
        etag="e",
        style=StyleRequest(style="starry-night"),
        source=Source(
            width=64,
            height=48,
            coded_width=64,
            coded_height=48,
            codec="h264",
            time_base=Fraction(1, 25),
        ),
        chunks=tuple(
            Chunk(index=i, first_frame=8 * i, frames=8, first_pts=8 * i, duration=8, pts_digest="d")
            for i in range(chunks)
        ),
        frames=8 * chunks,
    )
