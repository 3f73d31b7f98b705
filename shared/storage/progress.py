"""Records of splits' progress in storage.

They are among the users' blobs, and only inform: one that somebody has leased is left as it is, and
holds up neither its split nor the end of its job.
"""

from __future__ import annotations

import contextlib

from pydantic import ValidationError

from shared.contracts.errors import LockedError
from shared.contracts.layout import progress_blob
from shared.contracts.status import SplitProgress
from shared.storage.blobs import BlobStore


async def store_progress(
    blobs: BlobStore, container: str, job_id: str, progress: SplitProgress
) -> None:
    """Write how far a job's split has come."""
    with contextlib.suppress(LockedError):
        await blobs.replace(container, progress_blob(job_id), progress.to_json())


async def load_progress(blobs: BlobStore, container: str, job_id: str) -> SplitProgress | None:
    """Return how far a job's split has come; None if that is missing or unreadable."""
    data = await blobs.read(container, progress_blob(job_id))
    try:
        return None if data is None else SplitProgress.model_validate_json(data)
    except ValidationError:
        return None


async def delete_progress(blobs: BlobStore, container: str, job_id: str) -> None:
    """Delete the record of a job's split."""
    with contextlib.suppress(LockedError):
        await blobs.delete(container, progress_blob(job_id))
