"""What storage says about a blob: when it is looked up, listed or read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from azure.storage.blob import BlobProperties, BlobType


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """What storage knows about a blob without reading it."""

    url: str
    size: int
    etag: str
    metadata: dict[str, str]
    created: datetime
    """When it was put there; changes to its metadata and properties do not affect this."""
    modified: datetime
    copying: bool = False
    """Whether storage is still copying it from elsewhere."""
    appendable: bool = False
    """Whether it is an append blob, which is never known to be complete."""


@dataclass(frozen=True, slots=True)
class BlobItem:
    """A blob as a listing shows it; times are POSIX seconds by storage's clock."""

    name: str
    size: int
    etag: str
    created_s: float
    modified_s: float
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Content:
    """A blob's bytes, and the version and metadata that they were read with."""

    data: bytes
    etag: str
    metadata: dict[str, str]


def facts_of(url: str, found: BlobProperties) -> BlobFacts:
    """Return what a look-up of the blob at ``url`` found."""
    return BlobFacts(
        url,
        found.size,
        bare_etag(found.etag),
        dict(found.metadata or {}),
        found.creation_time,
        found.last_modified,
        copying=found.copy is not None and found.copy.status == "pending",
        appendable=found.blob_type is BlobType.APPENDBLOB,
    )


def item_of(listed: BlobProperties) -> BlobItem:
    """Return one entry of a listing that includes metadata."""
    return BlobItem(
        listed.name,
        listed.size,
        bare_etag(listed.etag),
        listed.creation_time.timestamp(),
        listed.last_modified.timestamp(),
        # A listing gives an empty value as None.
        {key: value or "" for key, value in (listed.metadata or {}).items()},
    )


def bare_etag(etag: object) -> str:
    """Return an ETag without the quotes that HTTP puts around it."""
    return str(etag).strip('"')
