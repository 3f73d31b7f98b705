"""Finds and opens the storage account that a pipeline's users put their videos into."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from azure.storage.blob.aio import BlobServiceClient

from local.defaults import default_dir
from local.workspace import running_stack
from shared.endpoints import check_encrypted, plain_storage, plain_url
from shared.errors import ConfigurationError
from shared.storage import storage_client

_VARIABLES = (
    # The users' account goes before the pipeline's own, which is theirs too unless they have one.
    ("MEDIA_STORAGE_CONNECTION_STRING", "MEDIA_STORAGE_ACCOUNT_URL"),
    ("STORAGE_CONNECTION_STRING", "STORAGE_ACCOUNT_URL"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """How to reach a storage account: with a connection string, or by signing in to its URL."""

    connection_string: str | None = field(repr=False)
    url: str | None = None


def find_account(directory: Path | None) -> Account:
    """Return the account of the stack in ``directory``, of the environment, or of the usual stack.

    Raises:
        ConfigurationError: nothing says where the videos go.
    """
    if directory is None and (named := _from_environment()):
        return named
    directory = directory or default_dir()
    state = running_stack(directory)
    if state is None:
        raise ConfigurationError(
            [
                f"no stack runs in {directory}: start one with 'stylestream up', or set "
                "STORAGE_CONNECTION_STRING or STORAGE_ACCOUNT_URL"
            ]
        )
    return Account(state.storage_connection_string)


def _from_environment() -> Account | None:
    for names in _VARIABLES:
        connection, url = map(os.environ.get, names)
        if connection and url:
            raise ConfigurationError([f"{names[0]} and {names[1]} exclude each other"])
        if not connection and not url:
            continue
        name, host = (
            (names[0], plain_storage(connection))
            if connection
            else (names[1], plain_url(url or ""))
        )
        allowed = os.environ.get("ALLOW_HTTP", "").lower() in {"1", "true", "yes", "on"}
        if problem := check_encrypted(name, host, allow_http=allowed):
            raise ConfigurationError([problem])
        return Account(connection or None, url or None)
    return None


@asynccontextmanager
async def open_account(account: Account) -> AsyncIterator[BlobServiceClient]:
    """Open a storage account for as long as the context lasts."""
    async with AsyncExitStack() as closing:
        credential = None
        if not account.connection_string:
            from azure.identity.aio import DefaultAzureCredential

            credential = await closing.enter_async_context(DefaultAzureCredential())
        client = storage_client(account.connection_string, account.url, credential)
        yield await closing.enter_async_context(client)
