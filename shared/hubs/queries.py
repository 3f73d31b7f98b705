"""Queries to a hub, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from azure.core.exceptions import AzureError
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError

from shared.contracts.errors import TransientError, first_line

_REACH_S: Final = 10.0


async def query(request: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """Return what a hub answers to a client's ``request``.

    Raises:
        TransientError: it did not answer in time, or failed through all retries.
    """
    try:
        async with asyncio.timeout(_REACH_S):
            return await request
    except TimeoutError as error:
        raise TransientError(f"the hub did not answer within {_REACH_S:g} s") from error
    except (AzureError, EventHubError) as error:
        raise TransientError(f"cannot reach hub: {first_line(error)}") from error


async def has_events_after(client: EventHubConsumerClient, partition_id: str, place: int) -> bool:
    """Return whether a partition holds events after the one with the sequence number ``place``.

    Raises:
        TransientError: the hub is unavailable.
    """
    found = await query(client.get_partition_properties(partition_id))
    return int(found["last_enqueued_sequence_number"]) > place
