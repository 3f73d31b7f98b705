"""Deletes the segments of ended jobs a while after their end.

Until then, viewers who watch a job being painted can see all of it. What to delete, and when,
follows from storage alone, so that any assembler can do it, even if the one that ended the job has
gone.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Final

import structlog

from assembler.settings import AssemblerSettings
from shared.contracts.errors import TransientError
from shared.contracts.status import Status
from shared.storage.blobs import BlobStore
from shared.storage.statuses import is_end_marked, load_status
from shared.tasks.each import for_each

log = structlog.get_logger()

_SOONEST_S: Final = 5.0
_LATEST_S: Final = 60.0
_READS_AT_ONCE: Final = 8


class Lingering:
    """Looks for overdue segments from time to time."""

    def __init__(self, settings: AssemblerSettings, blobs: BlobStore) -> None:
        self._settings = settings
        self._blobs = blobs
        # Often enough that nothing stays much longer than it should.
        self.interval_s: Final = max(_SOONEST_S, min(_LATEST_S, settings.segments_linger_s / 4))
        self._without_record: dict[str, float] = {}
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)

    async def delete_overdue(self) -> None:
        """Delete the segments that have been kept long enough."""
        if not self._settings.segments_linger_s or self._settings.keep_intermediates:
            return
        try:
            jobs = {job async for job in self._blobs.folders(self._settings.segments_container)}
            self._without_record = {
                job: seen for job, seen in self._without_record.items() if job in jobs
            }
            await for_each(self._delete_if_due, jobs)
        except TransientError as error:
            log.warning("search for overdue segments failed", error=str(error))

    async def _delete_if_due(self, job: str) -> None:
        async with self._reads:
            status = await load_status(self._blobs, self._settings.jobs_container, job)
            if await self._is_due(job, status):
                await self._blobs.delete_all(self._settings.segments_container, f"{job}/")

    async def _is_due(self, job: str, status: Status | None) -> bool:
        if status is None:
            frames = self._settings.frames_container
            if not await is_end_marked(self._blobs, frames, job):
                return False  # its record is not stored yet, however long its assembler takes
            # Deleted by its user, perhaps just now.
            seen = self._without_record.setdefault(job, time.monotonic())
            return time.monotonic() - seen >= self._settings.segments_linger_s
        self._without_record.pop(job, None)
        age_s = (datetime.now(UTC) - datetime.fromisoformat(status.updated_at)).total_seconds()
        return status.ended and age_s >= self._settings.segments_linger_s
