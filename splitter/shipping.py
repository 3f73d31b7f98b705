"""Ship what a split makes: chunks, each stored, then announced, and at its end the side file."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import TypeAdapter

from shared.contracts.errors import SourceRefused
from shared.contracts.layout import chunk_blob, chunk_partition
from shared.contracts.manifest import Chunk
from shared.contracts.messages import ChunkReady
from shared.hubs.publisher import Publisher
from shared.storage.blobs import BlobStore
from shared.storage.progress import delete_progress
from shared.storage.retry import Retry
from shared.storage.sealed_files import SealedFile
from shared.storage.seals import SEAL, seal
from splitter.decoder.forks import ForkServer
from splitter.metrics import SplitterMetrics
from splitter.settings import SplitterSettings

log = structlog.get_logger()

_CHUNK: Final = TypeAdapter(Chunk)
_CUT: Final = "cut"
"""Metadata key of a chunk's blob: a digest of which frames it holds, however they are encoded."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """A split's decoders, the storage and hubs that it writes to, its metrics and retries."""

    decoders: ForkServer
    blobs: BlobStore
    frames: Publisher
    segments: Publisher
    metrics: SplitterMetrics
    retry: Retry


class CutChanged(SourceRefused):
    """The split cannot continue as it was begun, through no fault of the upload: it starts anew."""


class Shipping:
    """Ships the chunks of one job into ``container``, at most ``at_once`` at a time.

    A chunk stored by an earlier split is kept, and must be the same. Its bytes may differ only if
    ``is_same`` confirms that the upload is unchanged, because another release or processor encodes
    differently; it must still hold the same frames, or the split ends.
    """

    def __init__(
        self, container: str, at_once: int, outlets: Outlets, is_same: Callable[[], bool]
    ) -> None:
        self._container = container
        self._outlets = outlets
        self._is_same = is_same
        self._room = asyncio.Semaphore(at_once)
        self._shipped: set[int] = set()
        self._puts: set[asyncio.Task[None]] = set()

    def has(self, chunk: Chunk) -> bool:
        """Whether a chunk was shipped."""
        return chunk.index in self._shipped

    async def begin(self, shipments: asyncio.TaskGroup, event: ChunkReady, data: bytes) -> None:
        """Ship a chunk as one of the ``shipments``, once there is room for it.

        It is stored, then announced to the stylizers: an announced blob always exists.

        Raises:
            SourceRefused: from the group, ``SOURCE_CHANGED``: an earlier split stored a different
                chunk; a `CutChanged` if that one came from the same upload.
        """
        await self._room.acquire()
        shipment = shipments.create_task(self._ship(event, data))
        # Not at its own end: one that is cancelled before it begins never comes to that.
        shipment.add_done_callback(lambda _: self._room.release())

    async def _ship(self, event: ChunkReady, data: bytes) -> None:
        with self._outlets.metrics.timed("ship", chunk=event.chunk.index):
            await self._store(lambda: self._put(event, data))
            await self._outlets.retry(lambda: self._announce(event))
        self._shipped.add(event.chunk.index)
        self._outlets.metrics.shipped(event.chunk.frames)

    async def ship_side(self, name: str, file: SealedFile) -> None:
        """Store the side file, which need not outlast this call, unless it is there already.

        Raises:
            SourceRefused: ``CORRUPT_SIDE``: the disk has damaged it.
        """

        async def put() -> None:
            await self._outlets.blobs.create(self._container, name, file)

        await self._store(put)

    async def settle(self) -> None:
        """Return once no cancelled shipment can reach storage any more."""
        await asyncio.gather(*self._puts, return_exceptions=True)

    async def _announce(self, event: ChunkReady) -> None:
        # Looked up at each try: they change if the hub is recreated.
        partitions = await self._outlets.frames.partitions()
        place = chunk_partition(event.job_id, event.chunk.index, len(partitions))
        await self._outlets.frames.to_partition(event, partitions[place])

    async def _store(self, put: Callable[[], Awaitable[None]]) -> None:
        putting = asyncio.create_task(self._outlets.retry(put))
        self._puts.add(putting)
        putting.add_done_callback(self._puts.discard)
        # A cancelled request could still reach storage after the cleanup.
        await asyncio.shield(putting)

    async def _put(self, event: ChunkReady, data: bytes) -> None:
        name, metadata = chunk_blob(event.job_id, event.chunk.index), seal(data)
        metadata[_CUT] = _cut(event.chunk)
        if await self._outlets.blobs.create(
            self._container, name, data, metadata=metadata, content_type="video/mp4"
        ):
            return
        facts = await self._outlets.blobs.facts(self._container, name)
        stored = facts.metadata if facts is not None else metadata
        if stored.get(SEAL) == metadata[SEAL]:
            return
        if not self._is_same():
            raise changed(event.chunk)
        if stored.get(_CUT) != metadata[_CUT]:
            raise CutChanged(
                "SPLIT_ANEW", "another release of the splitter cuts the video differently"
            )
        log.info(
            "chunk was encoded differently before", job_id=event.job_id, chunk=event.chunk.index
        )


def changed(chunk: Chunk) -> SourceRefused:
    """Return the refusal of a split that does not continue as it was begun."""
    return SourceRefused(
        "SOURCE_CHANGED",
        f"chunk {chunk.index} was split differently before, from other bytes or by another "
        "version of the splitter: upload the video again",
    )


def _cut(chunk: Chunk) -> str:
    """Return a digest of which frames a chunk holds, regardless of the camera's movement."""
    described = _CHUNK.dump_json(chunk, exclude={"canvas", "grid"})
    return hashlib.sha256(described).hexdigest()[:32]


async def clear_up(job_id: str, settings: SplitterSettings, outlets: Outlets) -> None:
    """Delete what splits have stored of a job that has ended, unless intermediates are kept."""
    if settings.keep_intermediates:
        return
    blobs = outlets.blobs
    await outlets.retry(lambda: blobs.delete_all(settings.frames_container, f"{job_id}/"))
    await outlets.retry(lambda: delete_progress(blobs, settings.jobs_container, job_id))
