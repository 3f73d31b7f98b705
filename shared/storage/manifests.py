"""Manifests in storage: written once, under a seal, and read only when it is whole."""

from __future__ import annotations

from shared.contracts.layout import manifest_blob
from shared.contracts.manifest import Manifest, read_manifest
from shared.storage.blobs import BlobStore
from shared.storage.seals import check_seal, seal


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
    """Return a job's manifest; None when there is none.

    Raises:
        PermanentError: ``CORRUPT_MANIFEST``: it is not what a splitter wrote, or
            ``MANIFEST_UNREADABLE``: that was a splitter of another version.
    """
    content = await blobs.fetch(container, manifest_blob(job_id))
    if content is None:
        return None
    check_seal(content, "the job's manifest", "CORRUPT_MANIFEST")
    return read_manifest(content.data)
