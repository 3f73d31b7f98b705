"""Sends one job's chunks on: each stored, then told of, a few of them on their way at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from shared.contracts.errors import SourceRefused
from shared.contracts.layout import chunk_blob
from shared.contracts.manifest import Chunk
from shared.contracts.messages import ChunkReady
from shared.hubs.publisher import Publisher
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.storage.seals import SEAL, seal
from splitter.decoder.forks import ForkServer
from splitter.metrics import SplitterMetrics

log = structlog.get_logger()

_CUT: Final = "cut"
"""Metadata of a chunk's blob: a digest of the frames that it holds, whatever encoded them."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """What decodes a split's video, where its products go, and how it tries again."""

    decoders: ForkServer
    blobs: BlobStore
    frames: Publisher
    segments: Publisher
    metrics: SplitterMetrics
    retry: Retry


class CutChanged(SourceRefused):
    """What was begun cannot be gone on with, but for no fault of the upload: it is split anew."""


class Shipping:
    """Ships the chunks of one job into ``container``, ``at_once`` at most.

    A chunk that was stored by an earlier split stays, and has to be the same. Only where the upload
    is provably the same, ``is_same``, may other bytes stand for the same frames: another release or
    another processor encodes otherwise. One that holds other frames ends the split.
    """

    def __init__(
        self, container: str, at_once: int, outlets: Outlets, is_same: Callable[[], bool]
    ) -> None:
        self._container = container
        self._to = outlets
        self._is_same = is_same
        self._room = asyncio.Semaphore(at_once)
        self._shipped: set[int] = set()
        self._puts: set[asyncio.Task[None]] = set()

    def has(self, chunk: Chunk) -> bool:
        """Whether a chunk was shipped."""
        return chunk.index in self._shipped

    async def room(self) -> None:
        """Wait until one more may be on its way; `ship` gives the room back."""
        await self._room.acquire()

    async def ship(self, event: ChunkReady, data: bytes, partition: str) -> None:
        """Store a chunk, then tell the stylizers: an event's blob is always there.

        Raises:
            SourceRefused: ``SOURCE_CHANGED``: an earlier split has stored another chunk; a
                `CutChanged` where that was of the same upload.
        """
        try:
            with self._to.metrics.timed("ship", chunk=event.chunk.index):
                await self._store(event, data)
                await self._to.retry(lambda: self._to.frames.to_partition(event, partition))
        finally:
            self._room.release()
        self._shipped.add(event.chunk.index)
        self._to.metrics.chunk("split", event.chunk.frames)

    async def settle(self) -> None:
        """Return when nothing comes into storage any more of what was cancelled half way."""
        await asyncio.gather(*self._puts, return_exceptions=True)

    async def _store(self, event: ChunkReady, data: bytes) -> None:
        put = asyncio.create_task(self._to.retry(lambda: self._put(event, data)))
        self._puts.add(put)
        put.add_done_callback(self._puts.discard)
        # Cancelled half way it could still reach storage, behind the back of whoever cleans up.
        await asyncio.shield(put)

    async def _put(self, event: ChunkReady, data: bytes) -> None:
        name, mine = chunk_blob(event.job_id, event.chunk.index), seal(data)
        mine[_CUT] = _cut(event.chunk)
        if await self._to.blobs.create(
            self._container, name, data, metadata=mine, content_type="video/mp4"
        ):
            return
        facts = await self._to.blobs.facts(self._container, name)
        there = facts.metadata if facts is not None else mine
        if there.get(SEAL) == mine[SEAL]:
            return
        if not self._is_same():
            raise changed(event.chunk)
        if there.get(_CUT) != mine[_CUT]:
            raise CutChanged(
                "SPLIT_ANEW", "another release of the splitter cuts the video otherwise"
            )
        log.info("chunk was encoded otherwise before", job_id=event.job_id, chunk=event.chunk.index)


def changed(chunk: Chunk) -> SourceRefused:
    """Return what ends a split that does not go on as it was begun."""
    return SourceRefused(
        "SOURCE_CHANGED",
        f"chunk {chunk.index} was split otherwise before, from other bytes or by another version "
        "of the splitter: upload the video again",
    )


def _cut(chunk: Chunk) -> str:
    """Digest which frames a chunk holds; how the camera was followed is not of it."""
    described = chunk.model_dump_json(exclude={"canvas", "grid"})
    return hashlib.sha256(described.encode()).hexdigest()[:32]
