"""Manifests in storage: written once, under a seal, and read only when it is whole."""

from __future__ import annotations

from typing import NamedTuple

from shared.contracts.layout import manifest_blob
from shared.contracts.manifest import Manifest, read_manifest
from shared.storage.blobs import BlobStore
from shared.storage.seals import check_seal, seal


class Stored(NamedTuple):
    """A manifest, and the version and metadata that its blob was read with."""

    manifest: Manifest
    etag: str
    metadata: dict[str, str]


async def store_manifest(blobs: BlobStore, container: str, manifest: Manifest) -> None:
    """Write a job's manifest, unless there is one."""
    data = manifest.to_json()
    await blobs.create(
        container,
        manifest_blob(manifest.job_id),
        data,
        metadata=seal(data),
        content_type="application/json",
    )


async def load_manifest(blobs: BlobStore, container: str, job_id: str) -> Manifest | None:
    """Return a job's manifest as `fetch_manifest` does, without where it came from."""
    stored = await fetch_manifest(blobs, container, job_id)
    return None if stored is None else stored.manifest


async def fetch_manifest(blobs: BlobStore, container: str, job_id: str) -> Stored | None:
    """Return a job's manifest; None when there is none.

    Raises:
        PermanentError: ``CORRUPT_MANIFEST``: it is not what a splitter wrote, or
            ``MANIFEST_UNREADABLE``: that was a splitter of another version.
    """
    content = await blobs.fetch(container, manifest_blob(job_id))
    if content is None:
        return None
    check_seal(content, "the job's manifest", "CORRUPT_MANIFEST")
    return Stored(read_manifest(content.data), content.etag, content.metadata)
