"""The chaos harness changes in storage only what it means to, and reads what has changed."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from assembler_bench import started
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobClient
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from assembler.job import first_record
from chaos.storage_view import StorageView
from shared.contracts.layout import status_blob

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


async def test_a_record_is_read_again_once_it_has_changed(
    storage_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[str] = []
    download = ContainerClient.download_blob

    def counted(container: ContainerClient, name: str) -> object:
        downloads.append(name)
        return download(container, name)

    monkeypatch.setattr(ContainerClient, "download_blob", counted)
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        jobs = account.get_container_client("jobs")
        with contextlib.suppress(ResourceExistsError):
            await jobs.create_container()
        view, record = StorageView(account), first_record(started(uuid.uuid4().hex))
        for state in ("stylizing", "done"):
            record = record.model_copy(update={"state": state})
            name = status_blob(record.job_id)
            await jobs.upload_blob(name, record.to_json(), overwrite=True)
            for _ in range(3):
                assert await view.statuses([record.job_id]) == {record.job_id: record}
    assert len(downloads) == 2
