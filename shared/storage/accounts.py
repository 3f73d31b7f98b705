"""Opens storage accounts with the pipeline's retry policy, and presents two of them as one.

A container is in one account: those that users touch in theirs, all others in the pipeline's own.
Code that reads or writes a blob names its container, and need not know how many accounts there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.blob.aio import (
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    ExponentialRetry,
)

from shared.contracts.errors import ConfigurationError
from shared.contracts.hosts import is_loopback

_BLOCK_BYTES: Final = 8 << 20

ANSWER_S: Final = 60
"""How long storage may take to receive and answer a request, unless that says otherwise."""

_CONNECTION_STRING: Final = (
    "STORAGE_CONNECTION_STRING (or MEDIA_STORAGE_CONNECTION_STRING) is not a storage account's "
    "connection string, such as "
    "DefaultEndpointsProtocol=https;AccountName=NAME;AccountKey=KEY;EndpointSuffix=core.windows.net"
)
_URL: Final = (
    "STORAGE_ACCOUNT_URL (or MEDIA_STORAGE_ACCOUNT_URL) is not a storage account's address, such "
    "as https://NAME.blob.core.windows.net"
)


class BlobClients(Protocol):
    """Hands out clients of blobs and containers, as one account does."""

    def get_blob_client(self, container: str, blob: str) -> BlobClient:
        """Return a client of one blob."""

    def get_container_client(self, container: str) -> ContainerClient:
        """Return a client of one container."""


@dataclass(frozen=True, slots=True)
class StorageAccounts:
    """The users' account and the pipeline's own; a container belongs to one of them."""

    own: BlobServiceClient
    media: BlobServiceClient
    media_containers: frozenset[str]

    def get_blob_client(self, container: str, blob: str) -> BlobClient:
        """Return a client of one blob."""
        return self._account(container).get_blob_client(container, blob)

    def get_container_client(self, container: str) -> ContainerClient:
        """Return a client of one container."""
        return self._account(container).get_container_client(container)

    def _account(self, container: str) -> BlobServiceClient:
        return self.media if container in self.media_containers else self.own


def storage_client(
    connection_string: str | None,
    account_url: str | None,
    credential: AsyncTokenCredential | None,
    retry: type[ExponentialRetry] = ExponentialRetry,
    on_response: Callable[[Any], None] | None = None,
) -> BlobServiceClient:
    """Return a client of a storage account, by connection string or by signing in to its URL.

    ``on_response`` is called with the SDK's response to every request that has no hook of its own.

    Raises:
        ConfigurationError: the connection string or the URL is invalid.
    """
    options: dict[str, Any] = {
        # The default waits 15 s before the first retry, which turns a blip into a stall.
        "retry_policy": retry(
            initial_backoff=1, increment_base=2, retry_total=5, random_jitter_range=1
        ),
        "connection_timeout": 10,
        "read_timeout": ANSWER_S,
        # A block that is sent again must still be there: the HTTP library closes streams.
        "use_byte_buffer": True,
        # A block is sent in one piece; small blocks let the event loop run in between.
        "max_single_put_size": _BLOCK_BYTES,
        "max_block_size": _BLOCK_BYTES,
        "raw_response_hook": on_response,
    }
    try:
        if connection_string:
            url = BlobServiceClient.from_connection_string(connection_string).url
            options |= environment_options(url)
            return BlobServiceClient.from_connection_string(connection_string, **options)
        assert account_url
        options |= environment_options(account_url)
        return BlobServiceClient(account_url, credential, **options)
    except ValueError:
        # The SDK's message may contain a key.
        raise ConfigurationError([_CONNECTION_STRING if connection_string else _URL]) from None


def environment_options(url: str) -> dict[str, Any]:
    """Return the option that says whether an SDK client of ``url`` consults the environment.

    By default, it does so before each request, in two threads: one looks for a proxy, the other for
    a password in a netrc file, which Azure never accepts. That is half of the CPU time of a small
    request. So the environment is consulted here, once, and per request only if it names a proxy
    for ``url``, which it cannot for this machine itself.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxied = parts.scheme in getproxies() and not (is_loopback(host) or proxy_bypass(host))
    return {"use_env_settings": proxied}
