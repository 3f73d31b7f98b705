"""Manifests in storage: written once, with a seal that is checked on reading."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable
from typing import NamedTuple

from shared.contracts.errors import PermanentError
from shared.contracts.layout import manifest_blob
from shared.contracts.manifest import Manifest, read_manifest, write_manifest
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import Content
from shared.storage.seals import check_seal, seal


class Stored(NamedTuple):
    """A manifest, with the ETag and the metadata of its blob."""

    manifest: Manifest
    etag: str
    metadata: dict[str, str]


async def store_manifest(
    blobs: BlobStore, container: str, manifest: Manifest, chunks: Iterable[bytes]
) -> None:
    """Write a job's manifest, unless there is one; see `write_manifest` for its ``chunks``."""
    data = write_manifest(manifest, chunks)
    await blobs.create(
        container,
        manifest_blob(manifest.job_id),
        data,
        metadata=seal(data),
        content_type="application/json",
    )


async def load_manifest(blobs: BlobStore, container: str, job_id: str) -> Manifest | None:
    """Return only the manifest that `fetch_manifest` returns; None when there is none."""
    content = await blobs.fetch(container, manifest_blob(job_id))
    return None if content is None else (await _stored(content)).manifest


async def fetch_manifest(
    blobs: BlobStore, container: str, job_id: str, placed: Container[int] = ()
) -> Stored:
    """Return a job's manifest; see `read_manifest` for what its chunks lack.

    Raises:
        PermanentError: ``MANIFEST_MISSING``: there is none, ``CORRUPT_MANIFEST``: it is not what a
            splitter wrote, or ``MANIFEST_UNREADABLE``: a splitter of another version wrote it.
    """
    content = await blobs.fetch(container, manifest_blob(job_id))
    if content is None:
        raise PermanentError(
            "MANIFEST_MISSING",
            "the job's manifest no longer exists in storage: upload the video again",
        )
    return await _stored(content, placed)


async def _stored(content: Content, placed: Container[int] = ()) -> Stored:
    def read() -> Stored:
        check_seal(content, "the job's manifest", "CORRUPT_MANIFEST")
        return Stored(read_manifest(content.data, placed), content.etag, content.metadata)

    # That of a film of many hours takes a second to read.
    return await asyncio.to_thread(read)
