"""A hub, read from its beginning, and a webhook that is open before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from webhook_door import Door, Hub, open_door, through

from splitter.intake.forwarding import Intake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(eventhub_connection: str) -> AsyncIterator[Hub]:
    async with (
        EventHubProducerClient.from_connection_string(
            eventhub_connection, eventhub_name="uploads"
        ) as producer,
        EventHubConsumerClient.from_connection_string(
            eventhub_connection, "$Default", eventhub_name="uploads"
        ) as consumer,
    ):
        hub = Hub(producer, await producer.get_partition_ids())
        reading = asyncio.create_task(consumer.receive(hub.on_event, starting_position="-1"))
        yield hub
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest_asyncio.fixture(loop_scope="module")
async def door(hub: Hub) -> AsyncIterator[Door]:
    async with open_door(hub, Intake(through(hub.producer))) as door:
        yield door
