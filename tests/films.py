"""A film of three chunks as an assembler receives it, unpainted."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Final

from assembler_bench import Bench, started
from manifests import store_whole
from videos import Sound, Video

from assembler.mux import mux
from shared.contracts.layout import chunk_blob, side_blob
from shared.contracts.manifest import Manifest, Source
from shared.contracts.messages import SegmentReady, SplitCompleted
from shared.contracts.style_request import StyleRequest
from shared.storage.blobs import BlobStore
from shared.storage.seals import file_digest, seal
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitOptions, split

CHUNKS: Final = 3


def left_in(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [entry.name for entry in folder.iterdir()]


class Film:
    """A job's segments, its copied tracks, and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.job_id, self.side = uuid.uuid4().hex[:24], folder / "side"
        video = io.BytesIO(Video(frames=4 * CHUNKS, sounds=[Sound()]).make())
        source, *chunks, _ = split(
            video, SplitOptions(chunk_frames=4, first_chunk_frames=4), self.side
        )
        assert isinstance(source, Source)
        encoded = [chunk for chunk in chunks if isinstance(chunk, EncodedChunk)]
        self.segments = [chunk.data for chunk in encoded]
        digest = file_digest(self.side)
        self.manifest = Manifest(
            job_id=self.job_id,
            video_url="u",
            video_name=f"{self.job_id}.mp4",
            etag="e",
            style=StyleRequest(style="starry-night"),
            source=source,
            chunks=tuple(chunk.chunk for chunk in encoded),
            frames=4 * CHUNKS,
            side=side_blob(self.job_id, source.container, digest),
            side_sha256=digest,
        )
        assert len(self.segments) == CHUNKS

    def ready(self, chunk: int) -> SegmentReady:
        return SegmentReady(job_id=self.job_id, chunk=chunk, frames=4)

    async def store(self, blobs: BlobStore, container: str, *chunks: int) -> None:
        for chunk in chunks:
            data = self.segments[chunk]
            await blobs.create(container, chunk_blob(self.job_id, chunk), data, metadata=seal(data))

    async def store_split(self, blobs: BlobStore, container: str) -> None:
        assert self.manifest.side
        await blobs.create(container, self.manifest.side, self.side)
        await store_whole(blobs, container, self.manifest)

    def made(self, folder: Path) -> bytes:
        """Return the result as it is made when all is there."""
        out = folder / "whole.mp4"
        mux(self.manifest, self.segments, self.side, out)
        return out.read_bytes()


async def bring(bench: Bench, film: Film) -> None:
    """Let all of a job's segments be there."""
    await bench.hub.by_job(started(film.job_id))
    await film.store_split(bench.blobs, bench.settings.frames_container)
    await film.store(bench.blobs, bench.settings.segments_container, *range(CHUNKS))
    await bench.hub.by_job(SplitCompleted(job_id=film.job_id, chunks=CHUNKS, frames=4 * CHUNKS))
    for chunk in range(CHUNKS):
        await bench.hub.by_job(film.ready(chunk))
