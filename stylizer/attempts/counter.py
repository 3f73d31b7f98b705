"""Counts how often the painting of a chunk was begun, where a worker's death cannot lose it.

The count lies in the metadata of the chunk's blob and is raised *before* each attempt: a chunk that
kills whoever paints it leaves its mark first. Raising it is conditional on the blob's version, so
two workers that hold the same chunk for a moment count two attempts.
"""

from __future__ import annotations

import uuid
from typing import Final

from shared.contracts.errors import ChunkError
from shared.storage.blobs import BlobStore, Content

MISSING: Final = "CHUNK_MISSING"

_ATTEMPTS: Final = "attempts"
_BY: Final = "attempted_by"


class AttemptCounter:
    """The attempts at the chunks of one container, ``limit`` for each.

    Raises:
        TransientError: from every method, when storage is away; nothing was counted then.
    """

    def __init__(self, blobs: BlobStore, container: str, limit: int) -> None:
        self.limit = limit
        self._blobs = blobs
        self._container = container

    async def begin(self, name: str, chunk: Content) -> int | None:
        """Count another attempt at the chunk; return its number from 1, or None if none is left.

        ``chunk`` is the blob as it was read; that it was counted at since is no obstacle.

        Raises:
            ChunkError: ``CHUNK_MISSING``: the blob was deleted meanwhile.
        """
        etag, metadata, mark = chunk.etag, chunk.metadata, uuid.uuid4().hex
        while (made := _made(metadata)) < self.limit:
            counted = {**metadata, _ATTEMPTS: str(made + 1), _BY: mark}
            if await self._blobs.annotate(self._container, name, counted, etag=etag):
                return made + 1
            facts = await self._blobs.facts(self._container, name)
            if facts is None:
                raise ChunkError(MISSING, f"the frames {name} are gone")
            if facts.metadata.get(_BY) == mark:
                # It was counted, and only the answer was lost.
                return _made(facts.metadata)
            etag, metadata = facts.etag, facts.metadata
        return None

    async def made(self, name: str) -> int:
        """Return how many attempts at the chunk were begun."""
        facts = await self._blobs.facts(self._container, name)
        return _made(facts.metadata) if facts else 0


def _made(metadata: dict[str, str]) -> int:
    return int(metadata.get(_ATTEMPTS, "0"))
