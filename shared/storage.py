"""Opens a storage account with the retries that the pipeline wants."""

from __future__ import annotations

from typing import Any, Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

_BLOCK_BYTES: Final = 8 << 20


def storage_client(
    connection_string: str | None,
    account_url: str | None,
    credential: AsyncTokenCredential | None,
) -> BlobServiceClient:
    """Return a client of a storage account, by connection string or by signing in to its URL."""
    options: dict[str, Any] = {
        # The default waits 15 s before the first retry, which turns a blip into a stall.
        "retry_policy": ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=5, random_jitter_range=1
        ),
        "connection_timeout": 10,
        "read_timeout": 60,
        # Blocks are sent as one piece from the event loop; smaller ones let it turn in between.
        "max_single_put_size": _BLOCK_BYTES,
        "max_block_size": _BLOCK_BYTES,
    }
    if connection_string:
        return BlobServiceClient.from_connection_string(connection_string, **options)
    assert account_url
    return BlobServiceClient(account_url, credential, **options)
