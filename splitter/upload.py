"""Read the upload of one job, and only the bytes that its split began with.

A split of a long video takes hours, and the upload may be touched in the meantime: its metadata,
its properties, its tier. Each change makes a new version of the same bytes, and none raises an
event. So when the version being read is gone, every part that the decoder has read is compared with
the current version; if all are the same, the split continues with that one.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Final

import structlog
from pydantic import AwareDatetime

from shared.contracts.errors import (
    DeniedError,
    DoubtfulError,
    NoContainerError,
    PermanentError,
    SourceRefused,
)
from shared.contracts.values import Value
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry

log = structlog.get_logger()

PATIENCE_S: Final = 60.0
"""Seconds that a decoder waits for a part of its upload before it gives up its slot."""


class Video(Value):
    """One version of an uploaded blob."""

    name: str
    url: str
    etag: str
    size: int
    uploaded_at: AwareDatetime | None = None
    """When it was written, by storage's clock."""


class UploadReader:
    """Reads parts of one upload: ``await reader(offset, length)``.

    Raises:
        TransientError: storage did not deliver a part for a while; see `reach`.
        SourceRefused: ``SOURCE_CHANGED``: the upload was replaced or deleted.
        PermanentError: ``STORAGE_REFUSED``: storage will never deliver it.
    """

    def __init__(self, video: Video, container: str, blobs: BlobStore, retry: Retry) -> None:
        self._video = video
        self._container = container
        self._blobs = blobs
        self._retry = retry
        self._etag = video.etag
        self._parts: dict[tuple[int, int], bytes] = {}
        """The digest of each part that was read, by offset and length."""

    async def __call__(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer at the end of the upload."""
        data = await self._retry(lambda: self._read(offset, length), patience_s=PATIENCE_S)
        self._parts[offset, length] = _digest(data)
        return data

    @property
    def is_untouched(self) -> bool:
        """Whether the version being read is still the one that the job was opened with."""
        return self._etag == self._video.etag

    async def reach(self) -> None:
        """Return once storage delivers the upload again or refuses it for good; reading tells."""
        with contextlib.suppress(PermanentError):
            await self._retry(lambda: self._read(0, min(1, self._video.size)))

    async def _read(self, offset: int, length: int) -> bytes:
        try:
            while (data := await self._part(offset, length, self._etag)) is None:
                await self._follow()
        except DeniedError as error:
            # Storage that refuses everything has an outage; this waits for its end.
            await self._blobs.reach(self._container)
            raise DoubtfulError("STORAGE_REFUSED", str(error)) from error
        except NoContainerError as error:
            raise DoubtfulError("STORAGE_REFUSED", str(error)) from error
        return data

    async def _follow(self) -> None:
        """Switch to the current version, if it has the same bytes."""
        facts = await self._blobs.facts(self._container, self._video.name)
        if facts is None:
            raise SourceRefused("SOURCE_CHANGED", "the upload was deleted while it was being read")
        same = facts.size == self._video.size
        for (offset, length), digest in self._parts.items():
            if not same:
                break
            data = await self._part(offset, length, facts.etag)
            if data is None:  # touched again: the caller tries again
                return
            same = _digest(data) == digest
        if not same:
            raise SourceRefused("SOURCE_CHANGED", "the upload was replaced while it was being read")
        log.info("upload was modified, but its bytes are the same", video=self._video.name)
        self._etag = facts.etag

    async def _part(self, offset: int, length: int, etag: str) -> bytes | None:
        return await self._blobs.read_range(self._container, self._video.name, offset, length, etag)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
