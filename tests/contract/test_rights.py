"""An identity's permissions are found out by trying, on real storage and a real hub."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.aio._consumer_async import EventHubConsumer
from azure.eventhub.aio._producer_async import EventHubProducer
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from shared.service import rights
from shared.service.rights import CONTRIBUTOR, READER, Right
from shared.service.settings import ServiceSettings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


@asynccontextmanager
async def permitted(storage: str, **permissions: bool) -> AsyncIterator[ContainerClient]:
    """A new container, and a client that may do in it what ``permissions`` name."""
    name = f"rights-{uuid.uuid4().hex[:8]}"
    async with BlobServiceClient.from_connection_string(storage) as account:
        await account.create_container(name)
        signature = generate_container_sas(
            str(account.account_name),
            name,
            account_key=account.credential.account_key,
            permission=ContainerSasPermissions(**permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        url = f"{account.url.rstrip('/')}/{name}?{signature}"
        async with ContainerClient.from_container_url(url) as container:
            yield container
        left = account.get_container_client(name).list_blobs()
        assert [blob async for blob in left] == [], "trying leaves nothing behind"


class SenderElsewhere(EventHubProducerClient):
    """A client that signs in for one hub, and asks for a link to another."""

    def _create_producer(self, **how: Any) -> EventHubProducer:
        link = super()._create_producer(**how)
        link._target = link._target.replace("frames", "segments")
        return link


class ReceiverElsewhere(EventHubConsumerClient):
    """A client that signs in for one hub, and asks for a link from another."""

    def _create_consumer(self, *about: Any, **how: Any) -> EventHubConsumer:
        link = super()._create_consumer(*about, **how)
        link._source = link._source.replace("frames", "segments")
        return link


@pytest.mark.parametrize(
    ("permissions", "role", "lacking"),
    [
        ({"list": True, "read": True}, READER, False),
        ({"read": True}, READER, True),
        ({"list": True, "read": True, "write": True, "delete": True}, CONTRIBUTOR, False),
        ({"list": True, "read": True, "delete": True}, CONTRIBUTOR, True),
        ({"list": True, "read": True, "write": True}, CONTRIBUTOR, True),
    ],
)
async def test_a_role_on_a_container_is_lacking_where_storage_refuses_a_part_of_it(
    storage_connection: str, permissions: dict[str, bool], role: str, *, lacking: bool
) -> None:
    async with permitted(storage_connection, **permissions) as container:
        found = await rights.on_container(container, role)
        assert (found.role, found.lacking) == (role, lacking)
        assert (found.problem is None) is not lacking


async def test_a_container_that_is_missing_is_not_taken_for_a_lacking_role(
    storage_connection: str,
) -> None:
    async with ContainerClient.from_connection_string(storage_connection, "nowhere") as container:
        found = await rights.on_container(container, READER)
    assert not found.lacking
    assert found.problem
    assert "the container is missing" in found.problem


async def test_a_hub_that_refuses_to_be_sent_to_or_read_names_the_role(
    eventhub_connection: str,
) -> None:
    stranger = eventhub_connection.replace("SAS_KEY_VALUE", "of-somebody-else")
    assert stranger != eventhub_connection
    once = {"eventhub_name": "frames", "retry_total": 0}
    producer = EventHubProducerClient.from_connection_string(stranger, **once)
    consumer = EventHubConsumerClient.from_connection_string(stranger, "$Default", **once)
    async with producer, consumer:
        for found in (await rights.to_send(producer), await rights.to_receive(consumer)):
            assert found.lacking
            assert f"hub frames: {found.role} is missing: " in rights.describe(found)


async def test_a_role_is_lacking_where_a_hub_that_can_be_looked_up_refuses_a_link(
    eventhub_connection: str,
) -> None:
    producer = SenderElsewhere.from_connection_string(eventhub_connection, eventhub_name="frames")
    consumer = ReceiverElsewhere.from_connection_string(
        eventhub_connection, "$Default", eventhub_name="frames"
    )
    async with producer, consumer:
        for found in (await rights.to_send(producer), await rights.to_receive(consumer)):
            assert found.lacking
            assert f"hub frames: {found.role} is missing: Unauth" in rights.describe(found)


async def test_a_reader_that_a_consumer_excludes_lacks_no_role(eventhub_connection: str) -> None:
    owner, onlooker = (
        EventHubConsumerClient.from_connection_string(
            eventhub_connection, "$Default", eventhub_name="frames"
        )
        for _ in range(2)
    )
    first, *_ = await owner.get_partition_ids()
    received = asyncio.Event()

    async def note(*_: object) -> None:
        received.set()

    async with owner, onlooker:
        receiving = asyncio.create_task(
            owner.receive(note, partition_id=first, owner_level=1, starting_position="-1")
        )
        async with EventHubProducerClient.from_connection_string(
            eventhub_connection, eventhub_name="frames"
        ) as producer:
            await producer.send_event(EventData(b"x"), partition_id=first)
        await received.wait()
        found = await rights.to_receive(onlooker)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    assert rights.describe(found) == "hub frames: Azure Event Hubs Data Receiver is granted"


async def test_an_identity_with_all_rights_lacks_no_role(
    storage_connection: str, eventhub_connection: str
) -> None:
    settings = ServiceSettings(
        storage_connection_string=storage_connection,  # type: ignore[arg-type]
        eventhub_connection_string=eventhub_connection,  # type: ignore[arg-type]
    )
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        there = {one.name async for one in account.list_containers()}
        for field, name in settings.model_dump().items():
            if field.endswith("_container") and name and name not in there:
                await account.create_container(name)
    found: list[Right] = [right async for right in rights.rights(settings, "splitter")]
    assert [rights.describe(right) for right in found if right.problem] == []
    assert {right.on.split()[0] for right in found} == {"hub", "container"}
