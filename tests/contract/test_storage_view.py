"""The chaos harness changes in storage only what it means to."""

from __future__ import annotations

import uuid

import pytest
from azure.storage.blob import BlobClient
from azure.storage.blob.aio import BlobServiceClient

from chaos.storage_view import StorageView

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_damage_changes_a_blob_and_keeps_its_metadata(storage_connection: str) -> None:
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        container = await account.create_container(f"c{uuid.uuid4().hex[:8]}")
        await container.upload_blob("chunk", b"pictures", metadata={"seal": "1"})
        await StorageView(account).damage(container.container_name, "chunk", bytearray.reverse)
        found = await container.download_blob("chunk")
        assert await found.readall() == b"serutcip"
        assert found.properties.metadata == {"seal": "1"}


async def test_damage_does_not_bring_back_a_blob_that_is_deleted_meanwhile(
    storage_connection: str,
) -> None:
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        container = await account.create_container(f"c{uuid.uuid4().hex[:8]}")
        name = container.container_name
        await container.upload_blob("chunk", b"pictures")

        def change(content: bytearray) -> None:
            content.reverse()
            with BlobClient.from_connection_string(storage_connection, name, "chunk") as blob:
                blob.delete_blob()

        await StorageView(account).damage(name, "chunk", change)
        assert [blob.name async for blob in container.list_blobs()] == []
        await StorageView(account).damage(name, "chunk", change)
