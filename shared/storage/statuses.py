"""Jobs' status records in storage, as services read them that do not write them."""

from __future__ import annotations

from shared.contracts.layout import status_blob
from shared.contracts.status import Status, readable_status
from shared.storage.blobs import BlobStore


async def load_status(blobs: BlobStore, container: str, job_id: str) -> Status | None:
    """Return a job's record; None if it is missing or unreadable, which its assembler reports."""
    return readable_status(await blobs.read(container, status_blob(job_id)))


async def has_ended(blobs: BlobStore, container: str, job_id: str) -> bool:
    """Return whether a job's record says that nothing more will happen to it."""
    status = await load_status(blobs, container, job_id)
    return status is not None and status.ended
