"""Blob storage as the services use it: whole small blobs, written once or conditionally by ETag.

Names and contents are deterministic, so "write once" (If-None-Match: *) makes every piece of work
safe to repeat: the second writer learns that the blob exists and changes nothing (promise I2).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient

from shared.contracts.errors import PermanentError
from shared.storage.accounts import BlobClients
from shared.storage.answers import Answer, answer, answered, failure
from shared.storage.batches import MOST, delete_batch
from shared.storage.descriptions import BlobFacts, BlobItem, Content, bare_etag, facts_of, item_of
from shared.storage.downloads import parts_of_whole, read_whole, save_whole
from shared.storage.sealed_files import SealedFile


class File(Protocol):
    """What is opened and read once when it is uploaded, such as a path."""

    def open(self, mode: Literal["rb"], /) -> BinaryIO:
        """Open it for reading."""


class BlobStore:
    """The blobs of an account, or of several as one, addressed by container and name.

    Raises:
        TransientError: from every method, when storage stays unavailable through all retries; a
            `DeniedError` when it refuses the credentials, a `NoContainerError` when there is no
            such container, a `LockedError` when a blob to be changed is leased.
        PermanentError: from every method, ``STORAGE_REFUSED``, when storage would never accept the
            request, or no blob can have that name; a `DoubtfulError` while that is not certain.
    """

    def __init__(self, client: BlobClients) -> None:
        self._client = client

    def _blob(self, container: str, name: str) -> BlobClient:
        # HTTP resolves these segments, so that a URL with one leads elsewhere.
        if not name or {".", ".."} & set(name.split("/")):
            raise PermanentError("STORAGE_REFUSED", f"no blob can be called {container}/{name}")
        return self._client.get_blob_client(container, name)

    async def facts(self, container: str, name: str) -> BlobFacts | None:
        """Return what is known about a blob; None when there is none."""
        blob = self._blob(container, name)
        with answered("look up", container, name, Answer.ABSENT):
            return facts_of(blob.url, await blob.get_blob_properties())
        return None

    async def exists(self, container: str, name: str) -> bool:
        """Tell whether there is such a blob."""
        return await self.facts(container, name) is not None

    async def read(self, container: str, name: str) -> bytes | None:
        """Return a blob's content; None when there is none."""
        content = await self.fetch(container, name)
        return None if content is None else content.data

    async def fetch(self, container: str, name: str) -> Content | None:
        """Return a blob's content with its ETag and metadata; None when there is none."""
        blob = self._blob(container, name)
        with answered("read", container, name, Answer.ABSENT):
            stream = await blob.download_blob(decompress=False)
            data, found = await read_whole(stream), stream.properties
            return Content(data, bare_etag(found.etag), dict(found.metadata or {}))
        return None

    async def download(self, container: str, name: str, path: Path) -> BlobFacts | None:
        """Download a blob to a file; return what is known about it, None when there is none."""
        blob = self._blob(container, name)
        with answered("read", container, name, Answer.ABSENT):
            stream = await blob.download_blob(decompress=False)
            await save_whole(stream, path)
            return facts_of(blob.url, stream.properties)
        return None

    async def read_range(
        self, container: str, name: str, offset: int, length: int, etag: str
    ) -> bytes | None:
        """Return ``length`` bytes from ``offset`` of the blob's version ``etag``; fewer at its end.

        They are returned as stored, even if a ``Content-Encoding`` says that they are compressed.

        Returns:
            None when that version is gone.
        """
        blob = self._blob(container, name)
        with answered("read", container, name, Answer.ABSENT, Answer.CHANGED):
            stream = await blob.download_blob(offset, length, decompress=False, **_at(etag))
            return await read_whole(stream)
        return None

    async def create(
        self,
        container: str,
        name: str,
        data: bytes | File,
        *,
        metadata: dict[str, str] | None = None,
        content_type: str = "application/octet-stream",
        block_s: float | None = None,
    ) -> str | None:
        """Write a blob unless it exists; readers see all of it or nothing.

        ``block_s`` is how long each block of a file may take, if that is not the account's usual
        time for a request.

        Returns:
            The new blob's ETag; None when there was one already (nothing was written).
        """
        properties = _properties(metadata, content_type)
        if block_s is not None:
            properties["read_timeout"] = block_s
        with answered("write", container, name, Answer.EXISTS, Answer.CHANGED):
            return await self._upload(container, name, data, overwrite=False, **properties)
        return None

    async def replace(
        self,
        container: str,
        name: str,
        data: bytes | SealedFile,
        *,
        etag: str | None = None,
        metadata: dict[str, str] | None = None,
        content_type: str = "application/octet-stream",
    ) -> str | None:
        """Overwrite a blob with its metadata; if ``etag`` is given, only that version.

        Returns:
            The new ETag; None when the blob is no longer at ``etag`` (nothing was written).
        """
        properties = _properties(metadata, content_type) | _at(etag)
        gone = (Answer.ABSENT, Answer.CHANGED) if etag else ()
        with answered("write", container, name, *gone):
            return await self._upload(container, name, data, overwrite=True, **properties)
        return None

    async def _upload(self, container: str, name: str, data: bytes | File, **options: Any) -> str:
        blob = self._blob(container, name)
        with nullcontext(data) if isinstance(data, bytes) else data.open("rb") as content:
            written = await blob.upload_blob(content, **options)
        return bare_etag(written["etag"])

    async def copy(self, container: str, name: str, to: str, *, etag: str) -> bool:
        """Copy a blob's version ``etag``, with its metadata, to a name, unless that is taken.

        Returns:
            False when the blob is no longer at ``etag``.
        """
        if await self.exists(container, to):
            return True
        blob = self._blob(container, name)
        try:
            stream = await blob.download_blob(decompress=False, **_at(etag))
            await self._blob(container, to).upload_blob(
                parts_of_whole(stream),
                length=stream.size,
                overwrite=False,
                metadata=dict(stream.properties.metadata or {}),
                content_settings=stream.properties.content_settings,
            )
        except AzureError as error:
            if answer(error) in (Answer.ABSENT, Answer.CHANGED):
                return False
            if answer(error) is not Answer.EXISTS:
                raise failure("copy", container, name, error) from error
        return True

    async def annotate(
        self, container: str, name: str, metadata: dict[str, str], *, etag: str
    ) -> str | None:
        """Replace the metadata of a blob's version ``etag``; its content stays.

        Returns:
            The new ETag; None when the blob is no longer at ``etag`` (nothing was written).
        """
        blob = self._blob(container, name)
        with answered("annotate", container, name, Answer.ABSENT, Answer.CHANGED):
            written = await blob.set_blob_metadata(metadata, **_at(etag))
            return bare_etag(written["etag"])
        return None

    async def reach(self, container: str) -> None:
        """Return once the account answers for ``container``."""
        with answered("reach", container, ""):
            await self._client.get_container_client(container).get_container_properties()

    async def names(self, container: str, prefix: str = "") -> AsyncIterator[str]:
        """List blob names in lexical order."""
        with answered("list", container, prefix):
            async for name in self._client.get_container_client(container).list_blob_names(
                name_starts_with=prefix
            ):
                yield name

    async def items(self, container: str, prefix: str = "") -> AsyncIterator[BlobItem]:
        """List blobs, with their metadata, in lexical order."""
        with answered("list", container, prefix):
            async for blob in self._client.get_container_client(container).list_blobs(
                name_starts_with=prefix, include=["metadata"]
            ):
                yield item_of(blob)

    async def folders(self, container: str) -> AsyncIterator[str]:
        """List the parts before the first slash of blobs' names, each once."""
        with answered("list", container, ""):
            async for found in self._client.get_container_client(container).walk_blobs():
                if found.name.endswith("/"):
                    yield found.name.removesuffix("/")

    async def delete_all(self, container: str, prefix: str) -> int:
        """Delete every blob whose name starts with ``prefix``; return how many there were."""
        names = [name async for name in self.names(container, prefix)]
        await self.delete_each(container, names)
        return len(names)

    async def delete_each(self, container: str, names: list[str]) -> None:
        """Delete blobs by their names; those that are gone already are ignored."""
        client = self._client.get_container_client(container)
        for start in range(0, len(names), MOST):
            with answered("delete", container, names[start]):
                left = await delete_batch(client, names[start : start + MOST])
            for name, problem in left.items():
                if answer(problem) is not Answer.ABSENT:
                    raise failure("delete", container, name, problem)

    async def delete(self, container: str, name: str, *, etag: str | None = None) -> None:
        """Delete a blob, or only its version ``etag``; one that is gone already is ignored."""
        blob = self._blob(container, name)
        gone = (Answer.ABSENT, Answer.CHANGED) if etag else (Answer.ABSENT,)
        with answered("delete", container, name, *gone):
            await blob.delete_blob(**_at(etag))


def _properties(metadata: dict[str, str] | None, content_type: str) -> dict[str, Any]:
    content = ContentSettings(content_type=content_type)
    return {"metadata": metadata, "content_settings": content}


def _at(etag: str | None) -> dict[str, Any]:
    """Return the condition that a blob is at version ``etag``; empty for None."""
    # The SDK would pass a condition of None on to the HTTP library.
    if etag is None:
        return {}
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}
