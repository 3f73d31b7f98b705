"""Manifests of jobs without a video."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pydantic import TypeAdapter

from shared.contracts.manifest import Chunk, Manifest, Source
from shared.contracts.style_request import StyleRequest
from shared.storage.blobs import BlobStore
from shared.storage.manifests import store_manifest


def manifest(job: str, frames: Sequence[int]) -> Manifest:
    """Return the manifest of a job whose chunks hold so many frames each."""
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
            Chunk(
                index=index,
                first_frame=sum(frames[:index]),
                frames=count,
                first_pts=sum(frames[:index]),
                duration=count,
                pts_digest="d",
            )
            for index, count in enumerate(frames)
        ),
        frames=sum(frames),
    )


async def store_whole(blobs: BlobStore, container: str, whole: Manifest) -> None:
    """Store a manifest with its chunks."""
    chunk = TypeAdapter(Chunk)
    await store_manifest(blobs, container, whole, map(chunk.dump_json, whole.chunks))
