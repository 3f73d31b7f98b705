"""A connection to one hub that is replaced when it stops answering.

The SDK waits for an acknowledgement for as long as the connection seems to be alive, and one whose
peer vanished silently (a dropped NAT mapping, a dead node) seems alive forever; whatever is sent
later waits behind it. So every request has a deadline, and a client that misses one is discarded.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final, Self, TypeVar

import structlog
from azure.core.exceptions import AzureError
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from shared.contracts.errors import TransientError, first_line

log = structlog.get_logger()
T = TypeVar("T")

_CLOSING_S: Final = 10.0


class Sender:
    """Runs requests to ``hub`` on a client that is replaced when it misses a deadline.

    ``connect`` opens a client. Leaving the context closes it.
    """

    def __init__(
        self, hub: str, connect: Callable[[], Awaitable[EventHubProducerClient]], deadline_s: float
    ) -> None:
        self.hub = hub
        self._connect = connect
        self._deadline_s = deadline_s
        self._client: EventHubProducerClient | None = None
        self._connecting = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.reconnect()
        if self._closing:
            await asyncio.wait(self._closing)

    async def call(
        self,
        request: Callable[[EventHubProducerClient], Awaitable[T]],
        within_s: float = math.inf,
    ) -> T:
        """Return the hub's answer; a request that missed its deadline may have been carried out.

        ``within_s`` is for callers who cannot wait for the usual deadline.

        Raises:
            TransientError: the hub is unavailable or did not answer in time.
        """
        client, deadline_s = await self._present(), min(self._deadline_s, within_s)
        try:
            async with asyncio.timeout(deadline_s):
                return await request(client)
        except TimeoutError as error:
            log.warning("connection to hub discarded", hub=self.hub, deadline_s=deadline_s)
            self._discard(client)
            raise TransientError(
                f"hub {self.hub} did not answer within {deadline_s:g} s"
            ) from error
        except (AzureError, EventHubError) as error:
            raise TransientError(f"cannot reach hub {self.hub}: {first_line(error)}") from error

    def reconnect(self) -> None:
        """Use another client from the next request on."""
        if self._client is not None:
            self._discard(self._client)

    async def _present(self) -> EventHubProducerClient:
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    def _discard(self, client: EventHubProducerClient) -> None:
        if client is self._client:
            self._client = None
            task = asyncio.create_task(_close(client))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _close(client: EventHubProducerClient) -> None:
    # On a dead connection, closing waits for an answer as well.
    try:
        async with asyncio.timeout(_CLOSING_S):
            await client.close()
    except Exception as error:  # it is discarded anyway
        log.info("connection not closed cleanly", error=f"{type(error).__name__}: {error}")
