"""A job's thumbnail: its first painted frame, made once and stored with its record."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Final

import av
import av.error

from client.deletion import is_result_of
from shared.contracts.layout import status_blob
from shared.contracts.status import DELETED, Status
from shared.media.jpeg import to_jpeg
from shared.storage.blobs import BlobStore
from web.live.segments import Segments
from web.shared_work import SharedBytes

_LONGER_SIDE: Final = 480
_KEPT_BYTES: Final = 8 << 20
_BEGINNING: Final = 8 << 20
"""Enough of a result for its index and first frame, except for very long videos."""


def thumbnail_blob(job: str) -> str:
    """Return the name of a job's thumbnail in the jobs container."""
    return f"{job}/thumbnail.jpg"


class Thumbnails:
    """Finds thumbnails, or makes them from segments or results.

    Raises:
        TransientError: when storage cannot be reached.
    """

    def __init__(self, blobs: BlobStore, segments: Segments, jobs: str, results: str) -> None:
        self._blobs = blobs
        self._segments = segments
        self._jobs = jobs
        self._results = results
        self._kept = SharedBytes[str](_KEPT_BYTES)

    async def of(self, status: Status) -> bytes | None:
        """Return a JPEG; None while nothing of the job is painted."""
        try:
            return await self._kept.get(status.job_id, lambda: self._find(status))
        except _NothingYet:
            return None

    async def _find(self, status: Status) -> bytes:
        """Return the stored picture, or make and store it."""
        name = thumbnail_blob(status.job_id)
        if stored := await self._blobs.read(self._jobs, name):
            return stored
        video = await self._painted(status)
        made = video and await asyncio.to_thread(_first_picture, video)
        if not made:
            raise _NothingYet
        await self._blobs.create(self._jobs, name, made, content_type="image/jpeg")
        record = await self._blobs.facts(self._jobs, status_blob(status.job_id))
        if record is None or DELETED in record.metadata:
            # The job was deleted meanwhile. What was stored before that is removed with it.
            await self._blobs.delete(self._jobs, name)
            raise _NothingYet
        return made

    async def _painted(self, status: Status) -> bytes | None:
        segment = await self._segments.segment(status.job_id, 0)
        if segment is not None or status.result is None:
            return segment
        facts = await self._blobs.facts(self._results, status.result)
        if facts is None or not is_result_of(status.job_id, facts):
            return None  # a newer version's may have its name by now
        length = min(facts.size, _BEGINNING)
        return await self._blobs.read_range(self._results, status.result, 0, length, facts.etag)


class _NothingYet(Exception):
    """Nothing of the job is painted."""


def _first_picture(video: bytes) -> bytes | None:
    try:
        with av.open(io.BytesIO(video), "r") as container:
            frames: Iterator[av.VideoFrame] = container.decode(video=0)
            return to_jpeg(next(frames), _LONGER_SIDE)
    except (av.error.FFmpegError, StopIteration, IndexError):
        return None
