"""Finds unfinished jobs that no assembler follows, and has them taken up again.

An assembler knows a job by its events. Those of an unfinished job are never marked done, so they
come again to the next owner of its partition, unless they are lost: a position was moved by hand,
the events have expired, or the hub was recreated while no assembler ran. Then the job's record is
open, or was ended by its user, and its chunks are stored, but nobody follows it. For these jobs a
new event is sent to the hub; the assembler that gets it finds everything else in storage
(`assembler.stalls`).

One assembler cannot see whether another follows a job. If one does, it ignores the event.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from assembler.segments_hub import SegmentsHub
from assembler.settings import AssemblerSettings
from shared.contracts.errors import TransientError
from shared.contracts.layout import is_job_id, opening_blob, status_blob
from shared.contracts.messages import JobRecalled
from shared.contracts.status import readable_status
from shared.storage.blobs import BlobStore
from shared.tasks.each import for_each

log = structlog.get_logger()

_AT_ONCE: Final = 8
_LONGEST_PAUSE_S: Final = 6 * 3600.0


@dataclass(slots=True)
class _Seen:
    """A folder of stored chunks, and when its job's record is looked at again."""

    job: str
    """The job that the folder belongs to."""
    etag: str | None
    """Version of the record of an unfinished job; None if there is none."""
    pause_s: float
    due: float


class Recalls:
    """Looks through the folders of stored chunks from time to time.

    ``in_hand`` returns whether this assembler follows a job, or has concluded it.
    """

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        hub: SegmentsHub,
        in_hand: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._hub = hub
        self._in_hand = in_hand
        self._seen: dict[str, _Seen] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def recall_forgotten(self) -> None:
        """Recall the unfinished jobs whose records have not changed since the last look."""
        try:
            folders = {f async for f in self._blobs.folders(self._settings.frames_container)}
            self._seen = {job: seen for job, seen in self._seen.items() if job in folders}
            due = filter(self._is_due, folders)
            await for_each(lambda folder: self._recall_if_forgotten(folder, folders), due)
        except TransientError as error:
            log.warning("search for forgotten jobs failed", error=str(error))

    def _is_due(self, folder: str) -> bool:
        if not is_job_id(folder):
            return False
        seen = self._seen.get(folder)
        if self._in_hand(folder if seen is None else seen.job):
            return False
        return seen is None or time.monotonic() >= seen.due

    async def _recall_if_forgotten(self, folder: str, folders: set[str]) -> None:
        async with self._at_once:
            before = self._seen.get(folder)
            job = await self._job_of(folder) if before is None else before.job
            # A job that has a folder of its own is checked there.
            elsewhere = self._in_hand(job) or (job != folder and job in folders)
            etag = None if elsewhere else await self._unfinished(job, folder)
            still = before is not None and before.etag == etag
            if still and etag is not None and not self._in_hand(job):
                log.info("job recalled", job_id=job)
                await self._hub.publisher.by_job(JobRecalled(job_id=job))
            # Most of these wait in another assembler, so they are looked at less and less often.
            pause_s = 2 * before.pause_s if before and still else self._settings.redrive_after_s
            pause_s = min(pause_s, _LONGEST_PAUSE_S)
            self._seen[folder] = _Seen(job, etag, pause_s, time.monotonic() + pause_s)

    async def _job_of(self, folder: str) -> str:
        """Return the job of a folder: its own, or the one that was opened for its upload."""
        data = await self._blobs.read(self._settings.frames_container, opening_blob(folder))
        try:
            return folder if data is None else str(json.loads(data)["job_id"])
        except (ValueError, LookupError, TypeError):  # the splitter reports it
            return folder

    async def _unfinished(self, job: str, folder: str) -> str | None:
        """Return the version of the record of an unfinished job; None if there is none.

        An ended job is finished when its chunks are deleted. Its upload's opening stays.
        """
        found = await self._blobs.fetch(self._settings.jobs_container, status_blob(job))
        if found is None:
            return None
        status = readable_status(found.data)
        cleaned_up = folder != job or self._settings.keep_intermediates
        return None if status is not None and status.ended and cleaned_up else found.etag
