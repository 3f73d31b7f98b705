"""The jobs of one storage account: submit a video, watch it, fetch the result, cancel, delete."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from azure.storage.blob.aio import BlobServiceClient

from client.account import DEFAULT_CONTAINERS, Account, Containers, find_account, open_account
from client.deletion import delete_job, is_result_of
from client.drafts import written_whole
from client.links import Links
from client.names import check_upload_name, numbered, upload_name
from client.polling import polled
from client.sources import Source
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.contracts.layout import is_job_id, job_id, status_blob
from shared.contracts.status import (
    DELETED,
    SplitProgress,
    Status,
    read_status,
    read_summary,
    readable_status,
    utc_now,
    write_summary,
)
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import format_style_request
from shared.storage.blobs import BlobStore
from shared.storage.progress import load_progress

POLL_S: Final = 0.5
FIRST_POLL_S: Final = 0.25
"""While a job is new: many take only seconds."""

BLOCK_S: Final = 300
"""How long a block of an upload may take: at 28 kB/s, the users' lines may be slow."""

_SUBMISSION: Final = "submission"
"""Metadata key of an upload: a mark by which its submission knows it again."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An uploaded video and the job that it starts."""

    job_id: str
    video_name: str
    etag: str
    """The version of the upload."""


@dataclass(frozen=True, slots=True)
class View:
    """What is known about a job now; ``status`` is None until the pipeline takes the upload up."""

    status: Status | None
    split: SplitProgress | None


class Pipeline:
    """A pipeline as its users see it: the uploads, records and results of one storage account.

    Raises:
        ConfigurationError: from every method that takes a job's id, except `view` and `watch`, when
            it cannot be one.
        StylestreamError: from the same methods, when there is no such job.
        TransientError: from every method, when storage cannot be reached.
    """

    def __init__(
        self, client: BlobServiceClient, containers: Containers = DEFAULT_CONTAINERS
    ) -> None:
        self._blobs = BlobStore(client)
        self._links = Links(client)
        self._containers = containers

    async def submit(self, video: Path, style: StyleRequest) -> Submission:
        """Upload a video, under a numbered name if an earlier upload has its name.

        Characters of the name that storage alters are replaced (see `client.names`). One that is
        cancelled is not painted.

        Raises:
            ConfigurationError: the file cannot be read, or becomes shorter meanwhile.
        """
        mark = secrets.token_hex(8)
        metadata = format_style_request(style) | {_SUBMISSION: mark}
        for name in numbered(upload_name(video.name)):
            try:
                etag = await self._blobs.create(
                    self._containers.uploads,
                    name,
                    Source(video),
                    metadata=metadata,
                    block_s=BLOCK_S,
                )
            except OSError as error:
                raise ConfigurationError([f"{video}: {error.strerror or error}"]) from error
            except asyncio.CancelledError:
                # Storage may have written it, and only the answer is not there yet.
                with suppress(StylestreamError):
                    if written := await self._version_marked(name, mark):
                        await self.withdraw(self._submission(name, written, style))
                raise
            etag = etag or await self._version_marked(name, mark)
            if etag is not None:
                return self._submission(name, etag, style)
        raise AssertionError("there is a number for every name")

    def _submission(self, name: str, etag: str, style: StyleRequest) -> Submission:
        return Submission(job_id(self._containers.uploads, name, etag, style), name, etag)

    async def _version_marked(self, name: str, mark: str) -> str | None:
        """Return the version of an upload that has the mark; None if the upload is another's.

        It has the mark if storage wrote it and only the answer was lost.
        """
        upload = await self._blobs.facts(self._containers.uploads, name)
        if upload is None or upload.metadata.get(_SUBMISSION) != mark:
            return None
        return upload.etag

    async def withdraw(self, submission: Submission) -> None:
        """See to it that a submission is not painted, whether or not its job has begun.

        A job that has begun is cancelled; before that, its upload is deleted.

        Raises:
            StylestreamError: the job has ended in this moment.
        """
        job = submission.job_id
        status = (await self.view(job)).status
        if status is None:
            await self._blobs.delete(
                self._containers.uploads, submission.video_name, etag=submission.etag
            )
            # It may have begun in the meantime.
            status = (await self.view(job)).status
        if status is not None and not status.ended:
            await self.cancel(job)

    async def view(self, job: str) -> View:
        """Return what is known about a job, which may not have begun yet."""
        stored = await self._blobs.fetch(self._containers.jobs, status_blob(job))
        there = stored is not None and DELETED not in stored.metadata
        status = read_status(stored.data) if stored and there else None
        progress = None
        if status is not None and status.state == "splitting":
            progress = await load_progress(self._blobs, self._containers.jobs, job)
        return View(status, progress)

    async def watch(self, job: str) -> AsyncIterator[View]:
        """Poll a job until it has ended; the last view shows how, or no status if it was deleted.

        Raises:
            TransientError: see `polled`.
        """
        begun = False
        async for view in polled(lambda: self.view(job), POLL_S, FIRST_POLL_S):
            yield view
            if begun if view.status is None else view.status.ended:
                return
            begun = view.status is not None

    async def status(self, job: str) -> Status:
        """Return the record of an existing job."""
        if not is_job_id(job):
            raise ConfigurationError([f"{job!r} cannot be a job's id: see 'stylestream status'"])
        view = await self.view(job)
        if view.status is None:
            raise StylestreamError(f"there is no job {job}: see 'stylestream status'")
        return view.status

    async def list(self) -> list[Status]:
        """Return all jobs, newest first, from the summaries in one listing: see `write_summary`.

        They lack some fields, such as ``source`` and ``warnings``; `status` returns all of them.
        """
        found: list[Status] = []
        async for blob in self._blobs.items(self._containers.jobs):
            if blob.name != status_blob(blob.name.split("/")[0]) or DELETED in blob.metadata:
                continue
            status = read_summary(blob.metadata)
            if status is None:
                # An unreadable record must not hide others: its job fails, and then it says so.
                status = readable_status(await self._blobs.read(self._containers.jobs, blob.name))
            if status is not None:
                found.append(status)
        return sorted(found, key=lambda status: status.started_at, reverse=True)

    async def fetch(self, job: str, path: Path, *, replace: bool = True) -> Path:
        """Download a job's result; return where it is.

        In a folder, the result keeps its own name; a file gets the result's own suffix, which is
        that of Matroska if MP4 cannot hold the sound. With ``replace``, an existing file is
        replaced atomically.

        Raises:
            StylestreamError: the job has no result, the result is gone, or the file cannot be
                written.
        """
        result = await self._result(job)
        path = _named(path, result)
        with written_whole(path, replace=replace) as draft:
            found = await self._blobs.download(self._containers.results, result, draft)
            if not is_result_of(job, found):
                raise self._is_gone(result)
        return path

    async def cancel(self, job: str) -> Status:
        """Cancel a job by ending its record, which every service follows; return the record.

        Raises:
            StylestreamError: the job has ended already.
        """
        await self.status(job)
        name, cancelled = status_blob(job), None
        while True:
            stored = await self._blobs.fetch(self._containers.jobs, name)
            if stored is None or DELETED in stored.metadata:
                raise StylestreamError(f"the record of job {job} no longer exists")
            status = read_status(stored.data)
            if status == cancelled:
                return status  # it was stored, and only the answer was lost
            if status.ended:
                raise StylestreamError(f"job {job} is {status.state} already")
            changes = {"state": "cancelled", "updated_at": utc_now()}
            cancelled = status.model_copy(update=changes)
            record = cancelled.to_json()
            summary = write_summary(cancelled)
            if await self._blobs.replace(
                self._containers.jobs, name, record, etag=stored.etag, metadata=summary
            ):
                return cancelled

    async def delete(self, job: str) -> None:
        """Delete an ended job: its upload, its result, and finally its record.

        An upload that was replaced by a newer version stays, because it is another job's. One of
        which only properties or metadata have changed, at least a second later, is deleted: without
        its job's record, splitters would take it for an upload whose event was lost.

        Raises:
            StylestreamError: the job has not ended.
        """
        status = await self.status(job)
        if not status.ended:
            raise StylestreamError(f"job {job} is {status.state}: cancel it first")
        await delete_job(self._blobs, self._containers, job, self.list)

    async def _result(self, job: str) -> str:
        """Return the name of a job's result, after checking that the blob is the job's own."""
        result = None
        # It may just be making room for a newer version's: then its record names its new place.
        while (named := _result_of(await self.status(job))) != result:
            result = named
            if is_result_of(job, await self._blobs.facts(self._containers.results, result)):
                return result
        raise self._is_gone(named)

    def _is_gone(self, result: str) -> StylestreamError:
        return StylestreamError(
            f"{self._containers.results}/{result} no longer exists, or belongs to another job"
        )

    async def upload_link(self, name: str, hours: float, *, overwrite: bool = False) -> str:
        """Return a URL that accepts one upload called ``name``, once, for ``hours``.

        With ``overwrite``, it accepts any number of versions, and large files in blocks.

        Raises:
            ConfigurationError: no upload can have that name.
            StylestreamError: the name is taken, or storage issues no key to sign the link.
        """
        check_upload_name(name)
        return await self._links.upload(self._containers.uploads, name, hours, overwrite=overwrite)

    async def download_link(self, job: str, hours: float) -> str:
        """Return a URL of a job's result that is valid for ``hours``.

        Raises:
            StylestreamError: there is no result, or storage issues no key to sign the link.
        """
        result = await self._result(job)
        return await self._links.download(self._containers.results, result, hours)


@asynccontextmanager
async def open_pipeline(target: Path | Account | None = None) -> AsyncIterator[Pipeline]:
    """Open a pipeline: a stack's directory, an account, or what `find_account` finds without one.

    Raises:
        ConfigurationError: nothing says where the pipeline's storage is.
    """
    account = target if isinstance(target, Account) else find_account(target)
    async with open_account(account) as client:
        yield Pipeline(client, account.containers)


def _result_of(status: Status) -> str:
    if status.result is None:
        why = f": {status.error.message}" if status.error else ""
        raise StylestreamError(f"job {status.job_id} is {status.state} and has no result{why}")
    return status.result


def _named(path: Path, result: str) -> Path:
    name = PurePosixPath(result)
    if path.is_dir():
        return path / name.name
    return path if path.suffix.lower() == name.suffix else path.with_suffix(name.suffix)
