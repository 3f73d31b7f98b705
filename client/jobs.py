"""A user's view of the pipeline: submit a video, ask how it is, fetch the result.

Works against any storage account that a pipeline serves, local or in Azure; it needs nothing but
blobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from client.account import USUAL_CONTAINERS, Account, Containers, open_account
from shared.contracts.errors import StylestreamError
from shared.contracts.layout import job_id, progress_blob, status_blob
from shared.contracts.status import SplitProgress, Status, utc_now
from shared.contracts.style_request import StyleRequest
from shared.contracts.style_request_text import write_wishes
from shared.storage.blobs import BlobStore

_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Submission:
    """An uploaded video and the job that it raises."""

    job_id: str
    video_name: str


@dataclass(frozen=True, slots=True)
class View:
    """What can be told about a job now; ``status`` is None until the upload was noticed."""

    status: Status | None
    split: SplitProgress | None


class Jobs:
    """Jobs of one storage account.

    Raises:
        TransientError: from every method, when storage cannot be reached.
    """

    def __init__(self, blobs: BlobStore, containers: Containers = USUAL_CONTAINERS) -> None:
        self.blobs = blobs
        self._in = containers

    async def submit(self, video: Path, style: StyleRequest) -> Submission:
        """Upload a video; if its name is taken by an earlier upload, under a numbered one."""
        metadata = write_wishes(style)
        for name in _numbered(video.name):
            if await self.blobs.create(self._in.uploads, name, video, metadata=metadata):
                break
        facts = await self.blobs.facts(self._in.uploads, name)
        if facts is None:
            raise StylestreamError(f"the upload {name} was deleted at once by somebody else")
        return Submission(job_id(self._in.uploads, name, facts.etag, style), name)

    async def view(self, job: str) -> View:
        """Look at one job."""
        record = await self.blobs.read(self._in.jobs, status_blob(job))
        status = Status.model_validate_json(record) if record else None
        progress = None
        if status is not None and status.state == "splitting":
            split = await self.blobs.read(self._in.jobs, progress_blob(job))
            progress = SplitProgress.model_validate_json(split) if split else None
        return View(status, progress)

    async def watch(self, job: str) -> AsyncIterator[View]:
        """Look at a job again and again until it has ended; the last view is the ended one."""
        while True:
            view = await self.view(job)
            yield view
            if view.status is not None and view.status.ended:
                return
            await asyncio.sleep(_POLL_S)

    async def all(self) -> list[Status]:
        """Return the records of all jobs, newest first."""
        records = [
            await self.blobs.read(self._in.jobs, name)
            async for name in self.blobs.names(self._in.jobs)
            if name == status_blob(name.split("/")[0])
        ]
        found = [Status.model_validate_json(record) for record in records if record]
        return sorted(found, key=lambda status: status.started_at, reverse=True)

    async def cancel(self, status: Status) -> Status:
        """End a job by its record, which every service follows; return the ended record.

        Raises:
            StylestreamError: the job has ended already.
        """
        name = status_blob(status.job_id)
        while True:
            stored = await self.blobs.fetch(self._in.jobs, name)
            if stored is None:
                raise StylestreamError(f"the record of job {status.job_id} is gone")
            status = Status.model_validate_json(stored.data)
            if status.ended:
                raise StylestreamError(f"job {status.job_id} is {status.state} already")
            changes = {"state": "cancelled", "updated_at": utc_now()}
            cancelled = status.model_copy(update=changes)
            record = cancelled.to_json()
            if await self.blobs.replace(self._in.jobs, name, record, etag=stored.etag):
                return cancelled

    async def fetch(self, result: str, path: Path) -> None:
        """Download a result.

        Raises:
            StylestreamError: it is gone, or the file cannot be written.
        """
        draft = path.with_name(path.name + ".part")
        try:
            if not await self.blobs.download(self._in.results, result, draft):
                raise StylestreamError(f"{self._in.results}/{result} is gone from storage")
            draft.replace(path)
        except OSError as error:
            raise StylestreamError(f"cannot write {path}: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)


@asynccontextmanager
async def open_jobs(connection_string: str | None, account_url: str | None) -> AsyncIterator[Jobs]:
    """Open the jobs of a storage account, by its connection string or by signing in to its URL."""
    async with open_account(Account(connection_string, account_url)) as client:
        yield Jobs(BlobStore(client))


def _numbered(name: str) -> Iterator[str]:
    path = PurePosixPath(name)
    yield name
    number = 2
    while True:
        yield f"{path.stem}-{number}{path.suffix}"
        number += 1
