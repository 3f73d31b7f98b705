"""Counts the attempts at painting a chunk where a worker's death cannot lose the count.

The count is metadata of the chunk's blob and is incremented *before* each attempt, so that an
attempt that kills its worker is counted as well. The increment is conditional on the blob's ETag:
two workers that briefly hold the same chunk count two attempts.

The first attempt runs in the worker's own process, beside its other chunks; later ones run in a
child process (`stylizer.attempts.isolation`), and are counted once that process has the chunk: what
keeps it from starting is not the chunk. A worker that dies during a later attempt was killed
by something else, an eviction or another chunk, and the attempt has no outcome: it is repeated
without being counted, up to a limit.
"""

from __future__ import annotations

import uuid
from typing import Final

from shared.contracts.errors import ChunkError
from shared.contracts.messages import ChunkReady
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content

MISSING: Final = "CHUNK_MISSING"

_ATTEMPTS: Final = "attempts"
_FORGIVEN: Final = "forgiven"
_BY: Final = "attempted_by"
_ANEW: Final = "anew_"
_FORGIVEN_FOR_EACH: Final = 2


def was_begun(chunk: Content) -> bool:
    """Return whether any attempt at a chunk was ever begun."""
    return any(name.endswith(_ATTEMPTS) for name in chunk.metadata)


class AttemptCounter:
    """The attempts at the chunks of one container, ``limit`` for each.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(self, blobs: BlobStore, container: str, limit: int) -> None:
        self.limit = limit
        self._blobs = blobs
        self._container = container

    def of(self, name: str, chunk: Content, event: ChunkReady) -> ChunkAttempts:
        """Return this worker's attempts at a chunk; ``chunk`` is its blob as it was read.

        A chunk that must be painted anew gets ``limit`` further attempts for each way of repainting
        it: on the processor, or in a given version of its styles.
        """
        prefix = _ANEW if event.on_processor else ""
        if event.styles:
            prefix += f"in_{event.styles}_"
        return ChunkAttempts(self._blobs, self._container, name, chunk, self.limit, prefix)

    async def made(self, name: str) -> int:
        """Return how many attempts at the chunk were counted."""
        facts = await self._blobs.facts(self._container, name)
        return _number(facts.metadata, _ATTEMPTS) if facts else 0


class ChunkAttempts:
    """One worker's attempts at one chunk."""

    def __init__(
        self,
        blobs: BlobStore,
        container: str,
        name: str,
        chunk: Content,
        limit: int,
        prefix: str,
    ) -> None:
        self._blobs = blobs
        self._container = container
        self._name = name
        self._limit = limit
        self._attempts, self._forgiven, self._by = (
            prefix + key for key in (_ATTEMPTS, _FORGIVEN, _BY)
        )
        self._etag, self._metadata = chunk.etag, chunk.metadata
        self._worker = uuid.uuid4().hex

    @property
    def upcoming(self) -> int | None:
        """The number of the next attempt, from 1, as far as is known; None if none is left.

        An isolated attempt whose worker died is repeated under the same number.
        """
        counts = self._next()
        return None if counts is None else _number(counts, self._attempts)

    async def begin(self, number: int) -> bool:
        """Count attempt ``number``; return False if, meanwhile, it is no longer the upcoming one.

        Then another worker has counted attempts at the chunk, which `upcoming` takes into account.

        Raises:
            ChunkError: ``CHUNK_MISSING``: the blob was deleted meanwhile.
        """
        mark = f"{self._worker}.{number}"
        while (counts := self._next()) and _number(counts, self._attempts) == number:
            counted = {**self._metadata, **counts, self._by: mark}
            etag = await self._blobs.annotate(self._container, self._name, counted, etag=self._etag)
            if etag is not None:
                self._etag, self._metadata = etag, counted
                return True
            facts = await self._blobs.facts(self._container, self._name)
            if facts is None:
                raise ChunkError(MISSING, f"the frames {self._name} no longer exist in storage")
            self._etag, self._metadata = facts.etag, facts.metadata
            if facts.metadata.get(self._by) == mark:
                # It was counted, and only the answer was lost.
                return True
        return False

    def _next(self) -> dict[str, str] | None:
        """Return the counts with one more attempt; None when the limit is reached."""
        made = _number(self._metadata, self._attempts)
        forgiven = _number(self._metadata, self._forgiven)
        others = not self._metadata.get(self._by, "").startswith(self._worker)
        if made > 1 and others and forgiven < _FORGIVEN_FOR_EACH * self._limit:
            return {self._attempts: str(made), self._forgiven: str(forgiven + 1)}
        return {self._attempts: str(made + 1)} if made < self._limit else None


def _number(metadata: dict[str, str], name: str) -> int:
    return int(metadata.get(name, "0"))
