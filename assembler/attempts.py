"""Counts the attempts at making a result where an assembler's death cannot lose the count.

The count is metadata of the manifest's blob and is incremented before each attempt, so that one
that kills its assembler is counted as well.
"""

from __future__ import annotations

import uuid
from typing import Final

from assembler.job import Job
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError
from shared.contracts.layout import manifest_blob
from shared.contracts.manifest import Manifest
from shared.storage.blobs import BlobStore

POISONED: Final = "ASSEMBLY_POISONED"

_ATTEMPTS: Final = "assemblies"
_BY: Final = "assembled_by"
"""Metadata key: which assembler has counted the last attempt."""


class AssemblyAttempts:
    """The attempts at the results of jobs.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(self, settings: AssemblerSettings, blobs: BlobStore) -> None:
        self._most = settings.assembly_attempts
        self._blobs = blobs
        self._container = settings.frames_container
        self._assembler = uuid.uuid4().hex

    async def begin_first(self, job: Job) -> bool:
        """Count a first attempt at the result; return whether it is the first, and counted."""
        if self._most == 1:
            return False  # the only attempt is kept for the complete set
        name = manifest_blob(job.job_id)
        existing = job.stored_manifest or await self._blobs.facts(self._container, name)
        if existing is None or _ATTEMPTS in existing.metadata:
            return False
        return await self._count(name, existing.metadata, 1, existing.etag)

    async def begin(self, manifest: Manifest) -> int:
        """Count another attempt at the result; return the number of earlier ones.

        One that was counted here has not ended this assembler: it is not counted again, also if the
        answer of storage was lost.

        Raises:
            ResultError: ``ASSEMBLY_POISONED``: there were too many.
        """
        name = manifest_blob(manifest.job_id)
        most, made = self._most + (manifest.side is not None), 0
        while (facts := await self._blobs.facts(self._container, name)) is not None:
            made = int(facts.metadata.get(_ATTEMPTS, "0"))
            if made and facts.metadata.get(_BY) == self._assembler:
                return made - 1
            if made >= most:
                raise ResultError(
                    POISONED,
                    f"making the result ended the assembler {made} times: it is not retried",
                )
            if await self._count(name, facts.metadata, made + 1, facts.etag):
                break
        return made

    async def take_back(self, job_id: str) -> None:
        """Reset the count: an attempt that has published a result ended no assembler."""
        name = manifest_blob(job_id)
        facts = await self._blobs.facts(self._container, name)
        if facts is not None and _ATTEMPTS in facts.metadata:
            metadata = {key: of for key, of in facts.metadata.items() if key != _ATTEMPTS}
            await self._write(name, metadata, facts.etag)

    async def _count(self, name: str, metadata: dict[str, str], made: int, etag: str) -> bool:
        counted = {_ATTEMPTS: str(made), _BY: self._assembler}
        return await self._write(name, {**metadata, **counted}, etag)

    async def _write(self, name: str, metadata: dict[str, str], etag: str) -> bool:
        written = await self._blobs.annotate(self._container, name, metadata, etag=etag)
        return written is not None
