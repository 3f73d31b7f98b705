"""Videos in storage, in pieces that all viewers share."""

from __future__ import annotations

from typing import Final

from shared.contracts.errors import TransientError
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobFacts
from web.shared_work import SharedAnswers, SharedBytes

PIECE_BYTES: Final = 4 << 20

_KEPT_BYTES: Final = 32 << 20
"""Enough for viewers who watch the same at about the same time."""

_FRESH_S: Final = 1.0
"""How long a blob's properties serve all viewers; a player requests several ranges at once."""


class Pieces:
    """The pieces of uploads and results.

    Raises:
        TransientError: from every method, when storage cannot be reached.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._kept = SharedBytes[tuple[str, str, str, int]](_KEPT_BYTES)
        self._facts = SharedAnswers[tuple[str, str], BlobFacts | None](_FRESH_S)

    async def facts(self, container: str, name: str) -> BlobFacts | None:
        """Return a blob's properties; None if there is no such blob."""
        return await self._facts.get((container, name), lambda: self._blobs.facts(container, name))

    async def piece(self, container: str, name: str, facts: BlobFacts, number: int) -> bytes:
        """Return piece ``number``, counted from 0, of the blob's version in ``facts``.

        All pieces but the last one have `PIECE_BYTES`.

        Raises:
            TransientError: the blob was replaced or deleted; its properties have to be read again.
        """

        async def read() -> bytes:
            begin = number * PIECE_BYTES
            length = min(PIECE_BYTES, facts.size - begin)
            data = await self._blobs.read_range(container, name, begin, length, facts.etag)
            if data is None:
                raise TransientError(f"{name} was replaced or deleted while it was sent")
            return data

        return await self._kept.get((container, name, facts.etag, number), read)
