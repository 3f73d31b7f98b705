"""Forward events that came over HTTP to the hub of uploads, where Event Grid sends its own."""

from __future__ import annotations

from typing import Final

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from shared.contracts.errors import PermanentError
from shared.hubs.sender import Sender

# Event Grid waits 30 s for an answer.
_DEADLINE_S: Final = 20.0
_TOO_LARGE: Final = "an event is larger than the hub accepts"


class Intake:
    """Sends events to the hub, at least once: when `put` returns, the hub has stored them."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def put(self, events: list[bytes]) -> None:
        """Return when the hub has acknowledged all events.

        Raises:
            TransientError: it has not, or not in time; it may have stored some of them.
            PermanentError: ``TOO_LARGE``: an event does not fit into the hub.
        """
        await self._sender.call(lambda client: _send(client, events), _DEADLINE_S)


async def _send(client: EventHubProducerClient, events: list[bytes]) -> None:
    waiting = [_event(body) for body in events]
    while waiting:
        batch = await client.create_batch()
        try:
            while waiting:
                batch.add(waiting[0])
                waiting.pop(0)
        except ValueError as error:  # the batch is full
            if not len(batch):
                raise PermanentError("TOO_LARGE", _TOO_LARGE) from error
        await client.send_batch(batch)


def _event(body: bytes) -> EventData:
    event = EventData(body)
    event.content_type = "application/json"
    return event
