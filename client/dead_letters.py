"""Dead letters for operators: listed with their causes, and redriven after a repair."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from client.account import Account, open_account
from client.local_stack import StackState, default_dir, running_stack
from shared.contracts.errors import ConfigurationError, MessageError, StylestreamError
from shared.contracts.layout import status_blob
from shared.contracts.messages import decode
from shared.contracts.status import read_status
from shared.hubs.dead_letters import DeadLetter
from shared.hubs.publisher import Publisher
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load
from shared.storage.blobs import BlobStore

_WAYS: Final = (
    "start one with 'stylestream up', or set STORAGE_ACCOUNT_URL, "
    "EVENTHUB_FULLY_QUALIFIED_NAMESPACE and, where users have an account of their own, "
    "MEDIA_STORAGE_ACCOUNT_URL (with keys: STORAGE_CONNECTION_STRING, "
    "EVENTHUB_CONNECTION_STRING, MEDIA_STORAGE_CONNECTION_STRING)"
)


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
        self._publishers: dict[str, Publisher] = {}
        """By hub; each has a connection of its own."""
        self.unreadable: list[str] = []
        """The names of the blobs that the last `all` passed over: they hold something else."""

    async def all(self) -> AsyncIterator[Letter]:
        """Yield the letters in the order of their names."""
        container = self._settings.dead_letters_container
        self.unreadable = []
        async for name in self._blobs.names(container):
            data = await self._blobs.read(container, name)
            if data is None:
                continue
            try:
                content = DeadLetter.model_validate_json(data)
            except ValidationError:  # it must not hide the others
                self.unreadable.append(name)
            else:
                yield Letter(name, content)

    async def redrive(self, letter: Letter) -> None:
        """Send the event again to the partition that it came from, and remove the letter.

        Raises:
            StylestreamError: its job has ended, so the event would be ignored.
        """
        await self._refuse_if_ended(letter)
        hub = letter.content.hub
        if hub not in self._publishers:
            self._publishers[hub] = await self._clients.publisher(hub)
        await self._publishers[hub].again(letter.content.body, letter.content.partition_id)
        await self._blobs.delete(self._settings.dead_letters_container, letter.name)

    async def _refuse_if_ended(self, letter: Letter) -> None:
        try:
            job = decode(letter.content.body).job_id
        except MessageError:
            return  # an upload's event, or a foreign one: its reader decides again
        record = await self._blobs.read(self._settings.jobs_container, status_blob(job))
        if record is not None and (status := read_status(record)).ended:
            raise StylestreamError(
                f"{letter.name}: its job {job} is {status.state}; "
                f"submit {status.video_name} again instead"
            )


@asynccontextmanager
async def open_dead_letters(directory: Path | None = None) -> AsyncIterator[Letters]:
    """Open the dead letters of a stack, of the environment's deployment, or of the default stack.

    Raises:
        ConfigurationError: nothing says where storage and hubs are.
        TransientError: storage cannot be reached.
    """
    settings = find_settings(directory)
    await reach_storage(settings)
    async with AzureClients(settings) as clients:
        yield Letters(settings, clients, BlobStore(await clients.storage()))


async def reach_storage(settings: ServiceSettings) -> None:
    """Return once storage grants access, failing early; services' clients retry for a minute."""
    secret = settings.storage_connection_string
    connection_string = secret.get_secret_value() if secret else None
    async with open_account(Account(connection_string, settings.storage_account_url)) as client:
        await BlobStore(client).reach(settings.dead_letters_container)


def find_settings(directory: Path | None) -> ServiceSettings:
    """Return how to reach the hubs and storage: the environment's, or those of a running stack."""
    if _is_in_environment(directory):
        return load(ServiceSettings)
    state = find_stack(directory)
    if state is None:
        raise ConfigurationError([f"no stack runs in {directory or default_dir()}: {_WAYS}"])
    return ServiceSettings.model_validate(
        {
            "storage_connection_string": state.storage_connection_string,
            "eventhub_connection_string": state.eventhub_connection_string,
        }
    )


def find_stack(directory: Path | None) -> StackState | None:
    """Return the running stack that `find_settings` finds; None when it is the environment's."""
    return None if _is_in_environment(directory) else running_stack(directory or default_dir())


def _is_in_environment(directory: Path | None) -> bool:
    named = ("STORAGE_CONNECTION_STRING", "STORAGE_ACCOUNT_URL")
    return directory is None and any(map(os.environ.get, named))
