"""A hub, read from its beginning, and a webhook in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_asyncio
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from contract.conftest import Brokers
from webhook_door import Door, Hub, open_door, through

from splitter.intake.forwarding import Intake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(brokers: Brokers) -> AsyncIterator[Hub]:
    with brokers() as connection:
        async with reading(connection) as hub:
            yield hub


@asynccontextmanager
async def reading(connection: str) -> AsyncIterator[Hub]:
    async with (
        EventHubProducerClient.from_connection_string(
            connection, eventhub_name="uploads"
        ) as producer,
        EventHubConsumerClient.from_connection_string(
            connection, "$Default", eventhub_name="uploads"
        ) as consumer,
    ):
        hub = Hub(producer, await producer.get_partition_ids())
        receiving = asyncio.create_task(consumer.receive(hub.on_event, starting_position="-1"))
        yield hub
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="module")
async def door(hub: Hub) -> AsyncIterator[Door]:
    async with open_door(hub, Intake(through(hub.producer))) as door:
        yield door
