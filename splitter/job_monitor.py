"""Watch a running split: record its progress, learn how much is painted, notice the job's end.

A job can end elsewhere, by a failed chunk or a user who cancels. Its split ends with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from shared.contracts.errors import PermanentError, StylestreamError
from shared.contracts.layout import progress_blob, status_blob
from shared.contracts.manifest import Chunk
from shared.contracts.status import SplitProgress, Status, read_status, utc_now
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from splitter.pace import Pace
from splitter.settings import SplitterSettings

# A waiting split renews its record this often, or every ten progress intervals if that is sooner.
_SIGN_OF_LIFE_S: Final = 10.0
_LOOKS: Final = 10


def sign_of_life_s(settings: SplitterSettings) -> float:
    """Return the longest time, in seconds, that a live split leaves its record untouched."""
    return settings.progress_interval_s + _pause_s(settings)


def _pause_s(settings: SplitterSettings) -> float:
    return min(_SIGN_OF_LIFE_S, _LOOKS * settings.progress_interval_s)


class JobOver(StylestreamError):
    """The job ended elsewhere while its video was being split."""


class JobMonitor:
    """Keeps one split's progress record up to date and reads the job's record."""

    def __init__(
        self, job_id: str, settings: SplitterSettings, blobs: BlobStore, retry: Retry
    ) -> None:
        self.waiting_for: str | None = None
        """What holds up the split; completes "waiting for ..."."""
        self._job_id = job_id
        self._settings = settings
        self._blobs = blobs
        self._retry = retry
        self._recorded: SplitProgress | None = None
        self._recorded_at = 0.0

    async def run(self, pace: Pace, chunks: Sequence[Chunk]) -> None:
        """Watch a split that appends to ``chunks``, until cancelled.

        Raises:
            JobOver: the job has ended.
        """
        while True:
            await asyncio.sleep(self._settings.progress_interval_s)
            # First: if this process stood still, the job may have ended and been cleaned up.
            status = await self.check()
            if status is not None:
                pace.update_painted(status.chunks_stylized)
            await self._record(chunks)

    async def check(self) -> Status | None:
        """Return the job's record; None if there is none yet or it cannot be read.

        Raises:
            JobOver: the job has ended.
        """
        record = await self._retry(
            lambda: self._blobs.read(self._settings.jobs_container, status_blob(self._job_id))
        )
        try:
            status = None if record is None else read_status(record)
        except PermanentError:  # the assembler reports it
            return None
        if status is not None and status.ended:
            raise JobOver(f"the job is {status.state}")
        return status

    async def _record(self, chunks: Sequence[Chunk]) -> None:
        """Store the split's progress, unless the stored record is recent and unchanged."""
        frames = chunks[-1].first_frame + chunks[-1].frames if chunks else 0
        now = SplitProgress(frames=frames, chunks=len(chunks), waiting_for=self.waiting_for)
        recent = time.monotonic() - self._recorded_at < _pause_s(self._settings)
        if recent and now == self._recorded:
            return
        self._recorded, self._recorded_at = now, time.monotonic()
        data = now.model_copy(update={"at": utc_now()}).to_json()
        await self._retry(
            lambda: self._blobs.replace(
                self._settings.jobs_container, progress_blob(self._job_id), data
            )
        )
