"""Keeps the jobs' status records, written conditionally on their ETag so that a job ends once.

Two assemblers may briefly hold the same job, and a user may end it at any time: an assembler that
finds the record changed by somebody else takes over its end, and nothing else. Users can write
records, so their content is not trusted, and an end that no assembler can have stored counts as a
cancellation.
"""

from __future__ import annotations

import contextlib
import time

from assembler.job import Job
from shared.contracts.codes import FAILURE_CODES
from shared.contracts.errors import LockedError, PermanentError
from shared.contracts.layout import result_blob, status_blob
from shared.contracts.status import (
    CLOSED,
    DELETED,
    Status,
    read_status,
    utc_now,
    write_summary,
)
from shared.hubs.workers import OneAtATime
from shared.storage.blobs import BlobStore
from shared.storage.statuses import is_end_marked, mark_end


class Records:
    """The status records of one container.

    An unreadable record ends its own job only. ``frames`` is the container of the marks of jobs'
    ends, see `shared.storage.statuses`.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(
        self, blobs: BlobStore, container: str, results: str, frames: str, redrives: int
    ) -> None:
        self._blobs = blobs
        self._container = container
        self._results = results
        self._frames = frames
        self._redrives = redrives
        self._one_at_a_time = OneAtATime()

    async def find(self, job_id: str) -> Job | None:
        """Return the job of a stored record, open or ended; None if there is no record.

        Raises:
            PermanentError: ``RECORD_UNREADABLE``.
        """
        stored = await self._blobs.fetch(self._container, status_blob(job_id))
        if stored is None:
            return None
        status = _read(stored.data, job_id)
        if not status.ended:
            status = status.model_copy(update={"result": None, "error": None})
            return self.new(status, stored.etag)
        true = await self._true(status)
        job = self.new(true or _cancelled(status), stored.etag)
        if true is not None:
            job.saved(status, stored.etag)  # its result may have another name by now
        return job

    async def mark_end(self, job_id: str) -> None:
        """Note that a job is about to end; to be called before its record says so."""
        await mark_end(self._blobs, self._frames, job_id)

    async def is_end_marked(self, job_id: str) -> bool:
        """Return whether a job has ended, or is about to; without a record it was deleted."""
        return await is_end_marked(self._blobs, self._frames, job_id)

    async def is_deleted(self, job_id: str) -> bool:
        """Return whether a user has deleted a job since its end."""
        there = await self._blobs.exists(self._container, status_blob(job_id))
        return not there and await self.is_end_marked(job_id)

    def new(self, status: Status, etag: str | None = None) -> Job:
        """Return a new job with this status."""
        return Job(status, etag, self._redrives, time.monotonic)

    async def begin(self, job: Job) -> bool:
        """Store a job's first record; return False, and store nothing, if there is one already."""
        status = job.status
        etag = await self._blobs.create(
            self._container,
            status_blob(job.job_id),
            status.to_json(),
            metadata=write_summary(status),
        )
        if etag is not None:
            job.saved(status, etag)
        return etag is not None

    async def save(self, job: Job) -> None:
        """Store a job's record if it is out of date; an end that somebody else stored wins."""
        async with self._one_at_a_time.of(job.job_id):
            while job.unsaved:
                await self._store(job)

    async def refresh(self, job: Job) -> None:
        """Take over what somebody else changed in a job's record, such as a cancellation."""
        async with self._one_at_a_time.of(job.job_id):
            await self._take_over(job)

    async def close(self, job: Job) -> None:
        """Note that a cancelled job's record is no longer needed, and delete it if its user did.

        Of jobs that have ended otherwise, an assembler has written the end itself.
        """
        if job.status.state == "cancelled":
            # Nobody can delete a record that somebody has leased, either.
            with contextlib.suppress(LockedError):
                await self._close(job.job_id)

    async def _close(self, job_id: str) -> None:
        name = status_blob(job_id)
        while (stored := await self._blobs.facts(self._container, name)) is not None:
            if DELETED in stored.metadata:
                while await self._blobs.delete_all(self._container, f"{job_id}/"):
                    pass
            elif CLOSED in stored.metadata or await self._blobs.annotate(
                self._container, name, {**stored.metadata, CLOSED: "yes"}, etag=stored.etag
            ):
                return

    async def move_result(self, job_id: str, before: str, after: str) -> None:
        """Change the result's name in an ended job's record from ``before`` to ``after``."""
        name, written = status_blob(job_id), None
        while written is None:
            stored = await self._blobs.fetch(self._container, name)
            try:
                status = _read(stored.data, job_id) if stored else None
            except PermanentError:  # an unreadable record cannot be corrected
                return
            if stored is None or status is None or status.result != before:
                return
            moved = status.model_copy(update={"result": after})
            written = await self._blobs.replace(
                self._container,
                name,
                moved.to_json(),
                etag=stored.etag,
                metadata=write_summary(moved),
            )

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
            job.etag = None  # somebody has deleted it: it is created anew
            return
        if stored.etag == job.etag:
            return
        try:
            other = _read(stored.data, job.job_id)
        except PermanentError as error:
            job.fail(error.code, error.message)
            job.etag = stored.etag
            return
        if other.ended:
            true = await self._true(other) if _same_video(job.status, other) else None
            # Only assemblers make results. (An equal record is this one's own: storage's answer was
            # lost.)
            ours = other.result is None or other == job.status
            job.ended_elsewhere |= true is not None and not ours
            job.status = true or _cancelled(job.status)
        job.saved(other, stored.etag)

    async def _true(self, ended: Status) -> Status | None:
        """Return a job's end, with the present name of its result; None if it is made up."""
        if await self._is_true(ended):
            return ended
        if ended.result is None:
            return None
        # Whoever stored this may have died before it saw that a newer version took the name.
        suffix = ended.result.rpartition(".")[2]
        own = result_blob(ended.video_name, ended.style.slug, suffix, ended.job_id)
        moved = ended.model_copy(update={"result": own})
        return moved if await self._is_true(moved) else None

    async def _is_true(self, ended: Status) -> bool:
        """Return whether an assembler, or a user who cancels, can have ended the job like this."""
        match ended.state:
            case "cancelled":
                return ended.result is None and ended.error is None
            case "failed":
                known = ended.error is not None and ended.error.code in FAILURE_CODES
                return known and ended.result is None
            case _:
                # A result names its job, and only assemblers can write results.
                return ended.result is not None and await self._is_result_of(ended)

    async def _is_result_of(self, ended: Status) -> bool:
        try:
            result = await self._blobs.facts(self._results, ended.result or "")
        except PermanentError:  # no blob can have that name
            return False
        return result is not None and result.metadata.get("job_id") == ended.job_id


def _read(data: bytes, job_id: str) -> Status:
    status = read_status(data)
    if status.job_id != job_id:
        raise PermanentError("RECORD_UNREADABLE", "the job's record belongs to another job")
    return status


def _same_video(one: Status, other: Status) -> bool:
    return (one.video_name, one.video_url, one.style) == (
        other.video_name,
        other.video_url,
        other.style,
    )


def _cancelled(status: Status) -> Status:
    ended = {"state": "cancelled", "result": None, "error": None, "updated_at": utc_now()}
    return status.model_copy(update=ended)
