"""Many blobs are deleted by one request, and the chaos harness sees each deletion."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, TCPConnector, ThreadedResolver
from aiohttp.abc import ResolveResult
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import BlobServiceClient

from chaos.history import BlobCall
from chaos.storage_proxy import StorageProxy
from local import azurite
from shared.contracts.errors import LockedError, TransientError
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_jobs_blobs_are_deleted_by_one_request_with_a_result_for_each(
    storage_connection: str,
) -> None:
    # Given three blobs behind the proxy of the chaos harness
    container = f"t{uuid.uuid4().hex[:8]}"
    async with BlobServiceClient.from_connection_string(storage_connection) as direct:
        await direct.create_container(container)
        storage = urlsplit(direct.url).port
        assert storage is not None
        calls: list[BlobCall] = []
        proxy = StorageProxy(lambda: storage, calls.append)
        async with (
            proxy,
            storage_client(azurite.connection_string(proxy.port), None, None) as client,
        ):
            blobs = BlobStore(client)
            for number in range(3):
                await blobs.create(container, f"job/{number} #.mp4", b"x")
            calls.clear()
            # When they are deleted
            assert await blobs.delete_all(container, "job/") == 3
            # Then two requests did it, and the harness knows of three
            sent = [call for call in calls if call.operation != "delete"]
            assert [call.operation for call in sent] == ["list", "other"]
            gone = [call for call in calls if call.operation == "delete"]
            assert [(c.container, c.name, c.status) for c in gone] == [
                (container, f"job/{number} #.mp4", 202) for number in range(3)
            ]


async def test_a_batch_that_storage_refuses_is_an_outage(storage_connection: str) -> None:
    container = f"t{uuid.uuid4().hex[:8]}"
    async with storage_client(storage_connection, None, None) as client:
        await client.create_container(container)
        blobs = BlobStore(client)
        await blobs.create(container, "a", b"x")
        await client.delete_container(container)
        with pytest.raises(TransientError):
            await blobs.delete_all(container, "")


async def test_of_a_batch_the_blob_that_stays_is_named(storage_connection: str) -> None:
    container = f"t{uuid.uuid4().hex[:8]}"
    async with storage_client(storage_connection, None, None) as client:
        await client.create_container(container)
        blobs = BlobStore(client)
        for name in ("a", "leased", "z"):
            await blobs.create(container, name, b"x")
        await client.get_blob_client(container, "leased").acquire_lease()
        with pytest.raises(LockedError, match=f"cannot delete blob {container}/leased:"):
            await blobs.delete_all(container, "")
        assert [name async for name in blobs.names(container)] == ["leased"]


class Everywhere(ThreadedResolver):
    """Finds every name on this machine."""

    async def resolve(self, host: str, port: int = 0, **more: Any) -> list[ResolveResult]:
        del host
        return await super().resolve("127.0.0.1", port, **more)


def given(file: str) -> str:
    (found,) = re.findall(r"DefaultEndpointsProtocol=\S+", (ROOT / file).read_text("utf-8"))
    return str(found)


@pytest.mark.parametrize(
    "address",
    [
        given("docker-compose.yml"),
        given("deploy/kubernetes/overlays/dev/config.env"),
        azurite.connection_string(10000).replace("127.0.0.1", "azurite"),
    ],
    ids=["compose", "overlay", "account in the path"],
)
async def test_blobs_are_deleted_if_storage_is_addressed_by_name(
    storage_connection: str, address: str
) -> None:
    port = urlsplit(BlobServiceClient.from_connection_string(storage_connection).url).port
    named = address.replace(":10000", f":{port}")
    container = f"t{uuid.uuid4().hex[:8]}"
    session = ClientSession(connector=TCPConnector(resolver=Everywhere()))
    transport = AioHttpTransport(session=session)
    async with BlobServiceClient.from_connection_string(named, transport=transport) as client:
        await client.create_container(container)
        blobs = BlobStore(client)
        for number in range(3):
            await blobs.create(container, f"job/{number} #.mp4", b"x")
        assert await blobs.delete_all(container, "job/") == 3
        assert [name async for name in blobs.names(container, "")] == []
