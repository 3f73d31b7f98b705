"""Queries to a hub, with a deadline: the SDK waits forever on a connection that died silently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from azure.core.exceptions import AzureError
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.exceptions import EventHubError

from shared.contracts.errors import TransientError, first_line

_DEADLINE_S: Final = 30.0
_REACH_S: Final = 10.0


@asynccontextmanager
async def answering(hub: str, verb: str, within_s: float = _DEADLINE_S) -> AsyncIterator[None]:
    """Limit the time of requests about ``hub``; ``verb`` completes "cannot ... hub frames".

    Raises:
        TransientError: a request failed through all retries, or did not end in time.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError as error:
        raise TransientError(f"hub {hub} did not answer within {within_s:g} s") from error
    except (AzureError, EventHubError) as error:
        raise TransientError(f"cannot {verb} hub {hub}: {first_line(error)}") from error


async def reach(client: EventHubConsumerClient) -> None:
    """Return once the hub answers; raise a `TransientError` if it does not."""
    async with answering(client.eventhub_name, "reach", _REACH_S):
        await client.get_eventhub_properties()


async def has_events_after(client: EventHubConsumerClient, partition_id: str, place: int) -> bool:
    """Return whether a partition holds events after the one with the sequence number ``place``.

    Raises:
        TransientError: the hub is unavailable.
    """
    async with answering(client.eventhub_name, "reach", _REACH_S):
        found = await client.get_partition_properties(partition_id)
    return int(found["last_enqueued_sequence_number"]) > place
