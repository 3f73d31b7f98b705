"""Gives results their names: the plain one to the newest version of an upload.

The result of a better version, uploaded under the same name, takes the place of the earlier result,
which moves to a name with its job's id. Another upload that would have the same result name, such
as ``film.mov`` beside ``film.mp4``, gets a name with its job's id as well.
"""

from __future__ import annotations

import hashlib
from typing import Final

import structlog

from assembler.records import Records
from shared.contracts.errors import LockedError, PermanentError, ResultError
from shared.contracts.layout import result_blob
from shared.contracts.manifest import Manifest
from shared.contracts.status import iso
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts
from shared.storage.sealed_files import SealedFile

log = structlog.get_logger()

_JOB: Final = "job_id"
_UPLOAD: Final = "upload"
_UPLOADED_AT: Final = "uploaded_at"
_KEPT: Final = (PermanentError, LockedError)
"""The errors that keep a result from being replaced: a policy forbids it, or somebody leased it."""
_CONTENT_TYPES: Final = {"mp4": "video/mp4", "mkv": "video/x-matroska"}


class Publication:
    """Publishes results in ``container``.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(self, blobs: BlobStore, container: str, records: Records) -> None:
        self._blobs = blobs
        self._container = container
        self._records = records

    async def publish(self, manifest: Manifest, result: SealedFile) -> str:
        """Publish a job's result atomically, and return its name. Idempotent.

        Raises:
            ResultError: both of its names are taken.
        """
        plain, own = _names(manifest)
        while not await self._create(plain, manifest, result):
            existing = await self._blobs.facts(self._container, plain)
            if existing is None:
                continue
            if existing.metadata.get(_JOB) == manifest.job_id:
                return plain
            if not _is_older(existing, manifest):
                return await self._publish_aside(own, manifest, result)
            try:
                if await self._take_over(plain, existing, manifest, result):
                    return plain
            except _KEPT as error:
                log.info("older result left in place", result=plain, reason=str(error))
                return await self._publish_aside(own, manifest, result)
        return plain

    async def withdraw(self, job: str, result: str) -> None:
        """Delete a job's result, unless it has made room for a newer one."""
        existing = await self._blobs.facts(self._container, result)
        if existing is not None and existing.metadata.get(_JOB) == job:
            await self._blobs.delete(self._container, result, etag=existing.etag)

    async def find(self, manifest: Manifest, result: str) -> str:
        """Return the current name of a job's result that was published as ``result``."""
        existing = await self._blobs.facts(self._container, result)
        moved = existing is not None and existing.metadata.get(_JOB) != manifest.job_id
        return _names(manifest)[1] if moved else result

    async def _publish_aside(self, name: str, manifest: Manifest, result: SealedFile) -> str:
        while not await self._create(name, manifest, result):
            existing = await self._blobs.facts(self._container, name)
            if existing is None:
                continue
            if existing.metadata.get(_JOB) == manifest.job_id:
                break
            raise ResultError("RESULT_NAME_TAKEN", f"results/{name} belongs to another job")
        return name

    async def _take_over(
        self,
        plain: str,
        existing: BlobFacts,
        manifest: Manifest,
        result: SealedFile,
    ) -> bool:
        """Move an older result aside and take its name; False if it has changed meanwhile.

        If it cannot be replaced, it keeps its name.
        """
        older = existing.metadata[_JOB]
        aside = _names(manifest.model_copy(update={"job_id": older}))[1]
        if not await self._blobs.copy(self._container, plain, aside, etag=existing.etag):
            return False
        try:
            # Before, for anybody who fetches it now; and after, for a record stored in between.
            await self._records.move_result(older, plain, aside)
            replaced = await self._blobs.replace(
                self._container,
                plain,
                result,
                etag=existing.etag,
                metadata=_metadata(manifest),
                content_type=_CONTENT_TYPES[manifest.source.container],
            )
        except _KEPT:
            await self._records.move_result(older, aside, plain)
            await self._blobs.delete(self._container, aside)
            raise
        await self._records.move_result(older, plain, aside)
        if await self._records.is_deleted(older):
            # While it was moved; whoever deleted it knew only its plain name.
            await self._blobs.delete(self._container, aside)
        return replaced is not None

    async def _create(self, name: str, manifest: Manifest, result: SealedFile) -> bool:
        created = await self._blobs.create(
            self._container,
            name,
            result,
            metadata=_metadata(manifest),
            content_type=_CONTENT_TYPES[manifest.source.container],
        )
        return created is not None


def _names(manifest: Manifest) -> tuple[str, str]:
    """Return the plain name of a job's result, and the name with its job's id."""
    parts = manifest.video_name, manifest.style.slug, manifest.source.container
    return result_blob(*parts), result_blob(*parts, manifest.job_id)


def _metadata(manifest: Manifest) -> dict[str, str]:
    at = manifest.uploaded_at
    version = {_UPLOADED_AT: iso(at)} if at else {}
    return {_JOB: manifest.job_id, _UPLOAD: _digest(manifest.video_name), **version}


def _is_older(existing: BlobFacts, manifest: Manifest) -> bool:
    """Return whether a result is that of an earlier version of the same upload."""
    before = existing.metadata.get(_UPLOADED_AT, "")
    same = existing.metadata.get(_UPLOAD) == _digest(manifest.video_name)
    now = manifest.uploaded_at
    return same and bool(before) and now is not None and before < iso(now)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]
