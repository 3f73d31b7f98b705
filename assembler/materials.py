"""Fetches what a result is made of: painted segments, and the tracks copied beside them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, NamedTuple

from shared.contracts.errors import ResultError
from shared.contracts.layout import chunk_blob
from shared.contracts.manifest import Manifest
from shared.contracts.segment_place import STYLES
from shared.storage.blobs import BlobStore
from shared.storage.seals import check_seal, file_digest

_REMEDY: Final = "upload the video again to have them"


class Segment(NamedTuple):
    """A segment's file, and the digest of the networks that painted it, empty if unknown."""

    data: bytes
    styles: str


class Materials:
    """The segments and copied tracks of jobs, each checked by its digest.

    Raises:
        TransientError: from every method, when storage stays unavailable.
    """

    def __init__(self, blobs: BlobStore, segments: str, frames: str) -> None:
        self._blobs = blobs
        self._segments = segments
        self._frames = frames

    async def segment(self, job_id: str, index: int) -> Segment:
        """Return the segment of one of a job's chunks.

        Raises:
            ResultError: ``SEGMENT_MISSING``: it is gone.
            ChunkError: ``CORRUPT_SEGMENT``: it is not what a stylizer wrote.
        """
        name = chunk_blob(job_id, index)
        segment = await self._blobs.fetch(self._segments, name)
        if segment is None:
            raise ResultError("SEGMENT_MISSING", f"segment {index} no longer exists in storage")
        check_seal(segment, f"segment {index}", "CORRUPT_SEGMENT")
        return Segment(segment.data, segment.metadata.get(STYLES, ""))

    async def side(self, manifest: Manifest, folder: Path) -> Path | None:
        """Download the file of copied tracks into ``folder``; None if the job has none.

        Raises:
            ResultError: it is gone (``SIDE_MISSING``), or not what was written (``CORRUPT_SIDE``).
        """
        if manifest.side is None:
            return None
        path = folder / Path(manifest.side).name
        if not await self._blobs.download(self._frames, manifest.side, path):
            raise ResultError("SIDE_MISSING", f"they no longer exist in storage; {_REMEDY}")
        if await asyncio.to_thread(file_digest, path) != manifest.side_sha256:
            raise ResultError("CORRUPT_SIDE", f"they were damaged in storage; {_REMEDY}")
        return path
