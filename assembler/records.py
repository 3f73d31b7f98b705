"""Keeps the jobs' status records: written under their ETag, so that the last word is one word.

Two assemblers may hold one job for a moment, and a user may end it at any time: whoever finds that
the record was changed by somebody else takes over what it says.
"""

from __future__ import annotations

import time

from assembler.job import Job
from shared.contracts.errors import PermanentError
from shared.contracts.layout import status_blob
from shared.contracts.status import Status, read_status, write_summary
from shared.hubs.workers import OneAtATime
from shared.storage.blobs import BlobStore


class Records:
    """The status records of one container.

    A record that is not readable ends its job, and no other.

    Raises:
        TransientError: from every method, when storage is away.
    """

    def __init__(self, blobs: BlobStore, container: str, redrives: int) -> None:
        self._blobs = blobs
        self._container = container
        self._redrives = redrives
        self._one_at_a_time = OneAtATime()

    async def find(self, job_id: str) -> Job | None:
        """Return a job as its record tells it; None when there is no record.

        Raises:
            PermanentError: ``RECORD_UNREADABLE``.
        """
        stored = await self._blobs.fetch(self._container, status_blob(job_id))
        if stored is None:
            return None
        return self.new(read_status(stored.data), stored.etag)

    def new(self, status: Status, etag: str | None = None) -> Job:
        """Return a job that is followed from now on."""
        return Job(status, etag, self._redrives, time.monotonic)

    async def save(self, job: Job) -> None:
        """Store a job's record if it is behind; an end that somebody else stored wins."""
        async with self._one_at_a_time.of(job.job_id):
            while job.unsaved:
                await self._store(job)

    async def refresh(self, job: Job) -> None:
        """Find out whether somebody else has changed a job's record: a user who cancels it."""
        async with self._one_at_a_time.of(job.job_id):
            await self._take_over(job)

    async def _store(self, job: Job) -> None:
        status, name = job.status, status_blob(job.job_id)
        record, summary = status.to_json(), write_summary(status)
        if job.etag is None:
            etag = await self._blobs.create(self._container, name, record, metadata=summary)
        else:
            etag = await self._blobs.replace(
                self._container, name, record, etag=job.etag, metadata=summary
            )
        if etag is not None:
            job.saved(status, etag)
        else:
            await self._take_over(job)

    async def _take_over(self, job: Job) -> None:
        stored = await self._blobs.fetch(self._container, status_blob(job.job_id))
        if stored is None:
            job.etag = None  # somebody has deleted it: the next one is a new one
            return
        if stored.etag == job.etag:
            return
        try:
            other = read_status(stored.data)
        except PermanentError as error:
            job.fail(error.code, error.message)
            job.etag = stored.etag
            return
        if other.ended:
            job.status = other
        job.saved(other, stored.etag)
