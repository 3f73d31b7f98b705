"""Makes links that allow uploading one video, or downloading one result, for a limited time.

A link is a blob's URL with a shared access signature: its holder needs only HTTP, and neither an
account nor our tools. It allows one operation on one blob, over TLS if the account's own URL uses
TLS. It is signed with the account key or, for users who sign in, with a user delegation key that
storage issues to them for that time, so that the link can do no more than they may.

Source: "Grant limited access to Azure Storage resources using shared access signatures".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from azure.storage.blob.aio import BlobServiceClient

from shared.contracts.errors import StylestreamError
from shared.storage.blobs import BlobStore

MOST_HOURS: Final = 7 * 24
"""A link's longest life: that of a user delegation key."""

# Clocks differ, and a link must be valid at once.
_CLOCK_SKEW: Final = timedelta(minutes=5)


class Links:
    """Makes links to one account's blobs.

    Raises:
        TransientError: from `upload`, when storage cannot be reached.
        StylestreamError: from every method, when storage issues no key; from `upload`, when the
            blob exists already.
    """

    def __init__(self, client: BlobServiceClient) -> None:
        self._client = client

    async def upload(
        self, container: str, name: str, hours: float, *, overwrite: bool = False
    ) -> str:
        """Return a link to write a blob that does not exist yet, once and in one request.

        With ``overwrite``, it may be written any number of times, and in blocks, as tools send
        large files.
        """
        if await BlobStore(self._client).exists(container, name):
            raise StylestreamError(f"{container}/{name} already exists: choose another name")
        return await self._link(
            container, name, hours, BlobSasPermissions(create=True, write=overwrite)
        )

    async def download(self, container: str, name: str, hours: float) -> str:
        """Return a link to read a blob; whether it exists, the caller knows."""
        return await self._link(container, name, hours, BlobSasPermissions(read=True))

    async def _link(
        self, container: str, name: str, hours: float, permission: BlobSasPermissions
    ) -> str:
        blob = self._client.get_blob_client(container, name)
        start = datetime.now(UTC) - _CLOCK_SKEW
        expiry = datetime.now(UTC) + timedelta(hours=hours)
        encrypted = urlsplit(blob.url).scheme == "https"
        signature = generate_blob_sas(
            str(self._client.account_name),
            container,
            name,
            permission=permission,
            start=start,
            expiry=expiry,
            protocol="https" if encrypted else "https,http",
            **await self._signing_key(start, expiry),
        )
        return f"{blob.url}?{signature}"

    async def _signing_key(self, start: datetime, expiry: datetime) -> dict[str, Any]:
        credential = self._client.credential
        if key := getattr(credential, "account_key", None):
            return {"account_key": key}
        try:
            return {
                "user_delegation_key": await self._client.get_user_delegation_key(start, expiry)
            }
        except AzureError as error:
            raise StylestreamError(
                "storage does not issue a key to sign links with; grant the role Storage "
                f"Blob Delegator: {error.message}"
            ) from error
