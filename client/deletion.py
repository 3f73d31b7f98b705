"""Deletes what there is of an ended job: its upload, its result, its record.

The record of a cancelled job is what tells the services to stop. If it were deleted before its
assembler has seen it, the job would continue, and its result would be published. So it stays until
then, hidden, and the assembler deletes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from client.account import Containers
from shared.contracts.layout import job_id, status_blob
from shared.contracts.status import CLOSED, DELETED, Status
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts

ListJobs = Callable[[], Awaitable[list[Status]]]


async def delete_job(
    blobs: BlobStore, containers: Containers, status: Status, list_jobs: ListJobs
) -> None:
    """Delete the job of ``status``, which has ended; see `client.pipeline.Pipeline.delete`."""
    uploads, name = containers.uploads, status.video_name
    while upload := await blobs.facts(uploads, name):
        if not await _is_upload_of(status, upload, containers, list_jobs):
            break
        await blobs.delete(uploads, name, etag=upload.etag)
    if status.result is not None:
        result = await blobs.facts(containers.results, status.result)
        if result is not None and is_result_of(status.job_id, result):
            await blobs.delete(containers.results, status.result, etag=result.etag)
    if status.state == "cancelled" and await _hide(blobs, containers.jobs, status.job_id):
        return
    # Again until there is nothing: a studio may store a picture beside the record meanwhile.
    while await blobs.delete_all(containers.jobs, f"{status.job_id}/"):
        pass


def is_result_of(job: str, result: BlobFacts | None) -> bool:
    """Tell whether a blob is a job's result; results of several jobs may have had its name."""
    return result is not None and result.metadata.get("job_id") == job


async def _hide(blobs: BlobStore, container: str, job: str) -> bool:
    """Mark a cancelled job's record as deleted; return False if nothing needs it any more."""
    name = status_blob(job)
    while (stored := await blobs.facts(container, name)) and CLOSED not in stored.metadata:
        marked = {**stored.metadata, DELETED: "yes"}
        if await blobs.annotate(container, name, marked, etag=stored.etag):
            return True
    return False


async def _is_upload_of(
    status: Status, upload: BlobFacts, containers: Containers, list_jobs: ListJobs
) -> bool:
    """Tell whether a job was made from what an upload holds now."""
    name, uploaded_at = status.video_name, status.uploaded_at
    if status.job_id == job_id(containers.uploads, name, upload.etag, status.style):
        return True
    # Storage's times are whole seconds. Equal times: a new version, not changed since.
    if upload.modified == upload.created:
        return False
    if not uploaded_at or upload.created > datetime.fromisoformat(uploaded_at):
        return False
    # In a hierarchical account, a file that is overwritten keeps its time of creation.
    others = [each for each in await list_jobs() if each.video_name == name]
    return not any(
        each.job_id != status.job_id and each.uploaded_at >= uploaded_at for each in others
    )
