"""Deletes what there is of an ended job: its upload, its result, its record.

The record of a cancelled job is what tells the services to stop. If it were deleted before its
assembler has seen it, the job would continue, and its result would be published. So it stays until
then, hidden, and the assembler deletes it. What tells services that the events of any other deleted
job are old is in `shared.storage.statuses`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from client.account import Containers
from shared.contracts.layout import job_id, renewed_job, status_blob
from shared.contracts.status import CLOSED, DELETED, Status, read_status
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts

_ABANDONED: Final = "SPLIT_ANEW"
_MOST_RENEWALS: Final = 8
"""How many releases in a row may cut a video differently while it is being split."""

ListJobs = Callable[[], Awaitable[list[Status]]]


async def delete_job(
    blobs: BlobStore, containers: Containers, job: str, list_jobs: ListJobs
) -> None:
    """Delete an ended job; see `client.pipeline.Pipeline.delete`."""
    jobs, name = containers.jobs, status_blob(job)
    # A record that changes meanwhile is read again: its result may have been renamed.
    while (record := await blobs.fetch(jobs, name)) and DELETED not in record.metadata:
        status = read_status(record.data)
        await _delete_upload(blobs, containers, status, list_jobs)
        await _delete_result(blobs, containers.results, status)
        if status.state == "cancelled" and CLOSED not in record.metadata:
            hidden = {**record.metadata, DELETED: "yes"}
            await blobs.annotate(jobs, name, hidden, etag=record.etag)
        else:
            await blobs.delete(jobs, name, etag=record.etag)
    if record is not None:
        return
    # Again until there is nothing: a studio may store a picture beside the record meanwhile.
    while await blobs.delete_all(jobs, f"{job}/"):
        pass


def is_result_of(job: str, result: BlobFacts | None) -> bool:
    """Tell whether a blob is a job's result; results of several jobs may have had its name."""
    return result is not None and result.metadata.get("job_id") == job


async def _delete_upload(
    blobs: BlobStore, containers: Containers, status: Status, list_jobs: ListJobs
) -> None:
    uploads, name = containers.uploads, status.video_name
    while upload := await blobs.facts(uploads, name):
        if not await _is_upload_of(status, upload, containers, list_jobs):
            return
        await blobs.delete(uploads, name, etag=upload.etag)


async def _delete_result(blobs: BlobStore, container: str, status: Status) -> None:
    if status.result is not None:
        result = await blobs.facts(container, status.result)
        if result is not None and is_result_of(status.job_id, result):
            await blobs.delete(container, status.result, etag=result.etag)


async def _is_upload_of(
    status: Status, upload: BlobFacts, containers: Containers, list_jobs: ListJobs
) -> bool:
    """Tell whether a job was made from what an upload holds now."""
    name, uploaded_at = status.video_name, status.uploaded_at
    if status.error and status.error.code == _ABANDONED:
        return False  # it is the upload of the job that has replaced this one
    job = job_id(containers.uploads, name, upload.etag, status.style)
    for _ in range(_MOST_RENEWALS):
        if status.job_id == job:
            return True
        job = renewed_job(job)
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
