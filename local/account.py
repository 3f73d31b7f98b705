"""Prepares an emulated storage account before the services use it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import CorsRule

from shared.storage.accounts import storage_client

_PREFLIGHT_S: Final = 3600
"""How long browsers may cache the answer to a preflight request."""


async def create_containers(connection: str, names: Iterable[str]) -> None:
    """Create those of the named containers that an account does not have yet."""
    async with storage_client(connection, None, None) as client:

        async def create(name: str) -> None:
            with contextlib.suppress(ResourceExistsError):
                await client.create_container(name)

        await asyncio.gather(*map(create, names))


async def allow_origin(connection: str, origin: str) -> None:
    """Allow pages of one origin, such as ``http://127.0.0.1:8080``, to PUT blobs by SAS links."""
    async with storage_client(connection, None, None) as client:
        await client.set_service_properties(
            cors=[CorsRule([origin], ["PUT"], max_age_in_seconds=_PREFLIGHT_S)]
        )
