"""Dead letters as an operator sees them: what was laid aside, why, and sent again when repaired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic import ValidationError

from shared.contracts.errors import MessageError, StylestreamError
from shared.contracts.layout import status_blob
from shared.contracts.messages import decode
from shared.contracts.status import Status
from shared.hubs.dead_letters import DeadLetter
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings
from shared.storage.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and the name of its blob."""

    name: str
    content: DeadLetter


class Letters:
    """The dead letters of one deployment.

    Raises:
        TransientError: from every method, when storage or a hub cannot be reached.
    """

    def __init__(self, settings: ServiceSettings, clients: AzureClients, blobs: BlobStore) -> None:
        self._settings = settings
        self._clients = clients
        self._blobs = blobs

    async def all(self) -> AsyncIterator[Letter]:
        """Yield the letters by hub, partition and place."""
        container = self._settings.dead_letters_container
        async for name in self._blobs.names(container):
            data = await self._blobs.read(container, name)
            if data is not None:
                yield Letter(name, _read(name, data))

    async def redrive(self, letter: Letter) -> None:
        """Send the event again to where it came from, and remove the letter.

        Raises:
            StylestreamError: its job has ended, so nobody would take it up.
        """
        await self._refuse_if_ended(letter)
        hub = letter.content.hub
        publisher = await self._clients.publisher(hub)
        await publisher.again(letter.content.body, letter.content.partition_id)
        await self._blobs.delete(self._settings.dead_letters_container, letter.name)

    async def _refuse_if_ended(self, letter: Letter) -> None:
        try:
            job = decode(letter.content.body).job_id
        except MessageError:
            return  # an upload's event, or a foreign one: whoever reads it decides anew
        record = await self._blobs.read(self._settings.jobs_container, status_blob(job))
        if record is not None and (status := Status.model_validate_json(record)).ended:
            raise StylestreamError(
                f"{letter.name}: its job {job} is {status.state}; "
                f"submit {status.video_name} again instead"
            )


def _read(name: str, data: bytes) -> DeadLetter:
    try:
        return DeadLetter.model_validate_json(data)
    except ValidationError as error:
        raise StylestreamError(f"dead-letters/{name} is no dead letter") from error
