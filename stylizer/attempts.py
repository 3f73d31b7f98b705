"""Counts how often the painting of a chunk was begun, where a worker's death cannot lose it.

The count lies in the metadata of the chunk's blob and is raised *before* each attempt: a chunk that
kills whoever paints it leaves its mark first. Raising it is conditional on the blob's version, so
two workers that hold the same chunk for a moment count two attempts.
"""

from __future__ import annotations

from typing import Final

from shared.blobs import BlobStore, Content
from shared.errors import ChunkError

_ATTEMPTS: Final = "attempts"


class Attempts:
    """The attempts at the chunks of one container."""

    def __init__(self, blobs: BlobStore, container: str) -> None:
        self._blobs = blobs
        self._container = container

    async def begin(self, name: str, chunk: Content) -> int:
        """Count another attempt at the chunk and return its number, from 1.

        ``chunk`` is the blob as it was read last; that it was counted at since is no obstacle.

        Raises:
            ChunkError: ``CHUNK_MISSING``: the blob was deleted meanwhile.
            TransientError: storage is away, and nothing was counted.
        """
        etag, metadata = chunk.etag, chunk.metadata
        while True:
            number = int(metadata.get(_ATTEMPTS, "0")) + 1
            counted = {**metadata, _ATTEMPTS: str(number)}
            if await self._blobs.annotate(self._container, name, counted, etag=etag):
                return number
            facts = await self._blobs.facts(self._container, name)
            if facts is None:
                raise ChunkError("CHUNK_MISSING", f"the frames {name} are gone")
            etag, metadata = f'"{facts.etag}"', facts.metadata

    async def made(self, name: str) -> int:
        """Return how many attempts at the chunk were begun.

        Raises:
            TransientError: storage is away.
        """
        facts = await self._blobs.facts(self._container, name)
        return int(facts.metadata.get(_ATTEMPTS, "0")) if facts else 0
