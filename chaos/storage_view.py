"""The run's own access to storage, which bypasses the services' proxy."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from chaos.clips import look_at
from chaos.history import BlobCall, Picture, Result, Upload
from client.pipeline import Pipeline
from shared.contracts.errors import StylestreamError
from shared.contracts.layout import end_blob, status_blob
from shared.contracts.status import Status

_TEMPORARY: Final = ("frames", "segments", "jobs")
_READ_HUBS: Final = ("uploads", "frames", "segments")
_KEPT: Final = ("/status.json", "/opening.json", "/budget.json")
"""What stays of a job: its record, and what identifies its upload's event."""
_ENDS: Final = end_blob("")
"""So does the mark of its end."""


class StorageView:
    """The storage account of a stack."""

    def __init__(self, account: BlobServiceClient) -> None:
        self._account = account
        self._pipeline = Pipeline(account)
        self._pictures: dict[str, Picture] = {}
        self._records: dict[str, tuple[str, Status]] = {}

    async def upload(self, name: str, video: bytes, style: str) -> str:
        """Upload a video as a user would, replacing an existing blob; return its ETag."""
        blob = self._account.get_blob_client("uploads", name)
        written = await blob.upload_blob(video, metadata={"style": style}, overwrite=True)
        return str(written["etag"]).strip('"')

    async def touch(self, name: str) -> str | None:
        """Change an upload's metadata, not its content; return its new ETag, None if it is gone."""
        blob = self._account.get_blob_client("uploads", name)
        try:
            found = await blob.get_blob_properties()
            touched = await blob.set_blob_metadata({**(found.metadata or {}), "touched": "yes"})
        except ResourceNotFoundError:
            return None
        return str(touched["etag"]).strip('"')

    async def delete_upload(self, name: str) -> None:
        """Delete an upload, unless it is gone already."""
        with contextlib.suppress(ResourceNotFoundError):
            await self._account.get_blob_client("uploads", name).delete_blob()

    async def videos(self) -> frozenset[tuple[str, str]]:
        """List name and ETag of every upload."""
        blobs = self._account.get_container_client("uploads").list_blobs()
        return frozenset([(blob.name, str(blob.etag).strip('"')) async for blob in blobs])

    async def is_over(self, upload: Upload) -> bool:
        """Return whether a job's record, if it has one, says that it has ended.

        That of a deleted job has to be gone, and an upload that was deleted may never have had one.
        """
        record = self._account.get_blob_client("jobs", status_blob(upload.job_id))
        try:
            data = await (await record.download_blob()).readall()
        except ResourceNotFoundError:
            return upload.deleted or upload.withdrawn
        return not upload.deleted and Status.model_validate_json(data).ended

    async def statuses(self, jobs: Iterable[str]) -> dict[str, Status]:
        """Return the records of those of ``jobs`` that have one."""
        container = self._account.get_container_client("jobs")
        names = set(map(status_blob, jobs))
        listed = [blob async for blob in container.list_blobs() if blob.name in names]
        records = [await self._record(container, blob.name, blob.etag) for blob in listed]
        return {status.job_id: status for status in records}

    async def _record(self, container: ContainerClient, name: str, etag: str) -> Status:
        """Return a record as it is in version ``etag`` or newer; each version is read once."""
        version, status = self._records.get(name, ("", None))
        if status is None or version != etag:
            data = await (await container.download_blob(name)).readall()
            status = Status.model_validate_json(data)
            self._records[name] = (etag, status)
        return status

    async def leftovers(self) -> tuple[str, ...]:
        """List all blobs that ended jobs should not leave behind."""
        found = [
            f"{container}/{name}"
            for container in _TEMPORARY
            async for name in self._account.get_container_client(container).list_blob_names()
            if not name.endswith(_KEPT) and not name.startswith(_ENDS)
        ]
        return tuple(found)

    async def checkpoints(self) -> dict[tuple[str, str], int]:
        """Return the stored position of every partition that has one, by hub and partition."""
        found: dict[tuple[str, str], int] = {}
        for hub in _READ_HUBS:
            container = self._account.get_container_client(f"{hub}-checkpoints")
            async for blob in container.list_blobs(include=["metadata"]):
                _, _, _, kind, partition = blob.name.split("/")
                if kind == "checkpoint":
                    found[hub, partition] = int((blob.metadata or {})["sequencenumber"])
        return found

    async def move_checkpoint(self, hub: str, partition: str, sequence: int, offset: str) -> None:
        """Set a partition's position to an event, as if it and all before it were done."""
        container = self._account.get_container_client(f"{hub}-checkpoints")
        async for blob in container.list_blobs():
            if blob.name.endswith(f"/{hub}/$default/checkpoint/{partition}"):
                position = {"offset": offset, "sequencenumber": str(sequence)}
                await container.get_blob_client(blob.name).set_blob_metadata(position)

    async def results(self) -> tuple[Result, ...]:
        """Read all results; identical ones are decoded once."""
        container = self._account.get_container_client("results")
        found = []
        async for blob in container.list_blobs(include=["metadata"]):
            video = await (await container.download_blob(blob.name)).readall()
            digest = hashlib.sha256(video).hexdigest()
            if digest not in self._pictures:
                self._pictures[digest] = await asyncio.to_thread(look_at, video)
            job = (blob.metadata or {}).get("job_id", "")
            found.append(Result(blob.name, job, digest, self._pictures[digest]))
        return tuple(found)

    async def damage(self, container: str, name: str, change: Callable[[bytearray], None]) -> None:
        """Let ``change`` alter a blob's content; its metadata stays.

        Does nothing if the blob is deleted meanwhile: it must not come back by this.
        """
        blob = self._account.get_blob_client(container, name)
        with contextlib.suppress(ResourceNotFoundError, ResourceModifiedError):
            found = await blob.download_blob()
            content = bytearray(await found.readall())
            change(content)
            await blob.upload_blob(
                bytes(content),
                overwrite=True,
                metadata=found.properties.metadata,
                etag=found.properties.etag,
                match_condition=MatchConditions.IfNotModified,
            )

    async def delete_job(self, job_id: str) -> None:
        """Delete an ended job as a user would, unless another has just deleted it."""
        with contextlib.suppress(StylestreamError):
            await self._pipeline.delete(job_id)

    async def cancel(self, job_id: str) -> BlobCall | None:
        """Cancel a job as a user would; return the write, or None if the job had ended before."""
        began = time.time()
        try:
            cancelled = await self._pipeline.cancel(job_id)
        except StylestreamError:
            return None
        return BlobCall(
            began=began,
            answered=time.time(),
            operation="write",
            container="jobs",
            name=status_blob(job_id),
            status=HTTPStatus.CREATED,
            body=cancelled.to_json(),
        )
