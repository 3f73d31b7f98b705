"""Whether jobs have ended, as other services than the assembler find it in storage.

A job's record is among the users' blobs, and a user who deletes the job deletes it. But the job's
events may come again after that: whenever a service is restarted, behind the unfinished event of a
longer job. Without a record they would look like those of a new job. So before a record says that
its job has ended, the assembler marks the end out of users' reach. Marks are kept as long as
openings, which is longer than an event stays unfinished.
"""

from __future__ import annotations

from shared.contracts.layout import end_blob, status_blob
from shared.contracts.status import Status, readable_status
from shared.storage.blobs import BlobStore


async def load_status(blobs: BlobStore, container: str, job_id: str) -> Status | None:
    """Return a job's record; None if it is missing or unreadable, which its assembler reports."""
    return readable_status(await blobs.read(container, status_blob(job_id)))


async def mark_end(blobs: BlobStore, frames: str, job_id: str) -> None:
    """Note in the container of ``frames`` that a job is about to end."""
    await blobs.create(frames, end_blob(job_id), b"")


async def is_end_marked(blobs: BlobStore, frames: str, job_id: str) -> bool:
    """Return whether a job has ended, or is about to; a job without a record was then deleted."""
    return await blobs.exists(frames, end_blob(job_id))


async def has_ended(blobs: BlobStore, jobs: str, frames: str, job_id: str) -> bool:
    """Return whether nothing more will happen to a job: it has ended, and may be deleted."""
    record = await blobs.read(jobs, status_blob(job_id))
    if record is None:
        return await is_end_marked(blobs, frames, job_id)
    status = readable_status(record)
    return status is not None and status.ended
