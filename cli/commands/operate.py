"""``stylestream cancel`` and ``dead-letters``: what an operator does about jobs in trouble."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import Final

from cli.commands.jobs import connect, known
from client.account import Account, open_account
from client.dead_letters import Letter, Letters
from client.local_stack import default_dir, running_stack
from shared.contracts.errors import ConfigurationError, StylestreamError
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load
from shared.storage.blobs import BlobStore

_WAYS: Final = (
    "start one with 'stylestream up', or set STORAGE_ACCOUNT_URL, "
    "EVENTHUB_FULLY_QUALIFIED_NAMESPACE and, where users have an account of their own, "
    "MEDIA_STORAGE_ACCOUNT_URL (with keys: STORAGE_CONNECTION_STRING, "
    "EVENTHUB_CONNECTION_STRING, MEDIA_STORAGE_CONNECTION_STRING)"
)


async def cancel(arguments: Namespace) -> int:
    """End a job; its services leave it within seconds, and its intermediates are deleted."""
    async with connect(arguments.dir) as jobs:
        status = await jobs.cancel(await known(jobs, arguments.job))
    print(f"{status.job_id}  {status.video_name}: cancelled")
    return 0


async def dead_letters(arguments: Namespace) -> int:
    """List the dead letters, or send some of them again."""
    settings = _settings(arguments.dir)
    await _reach_storage(settings)
    async with AzureClients(settings) as clients:
        letters = Letters(settings, clients, BlobStore(await clients.storage()))
        found = [letter async for letter in letters.all()]
        if not arguments.redrive:
            for letter in found:
                print(_line(letter, as_json=arguments.json))
            return 0
        return await _redrive(letters, _chosen(found, arguments.redrive))


async def _reach_storage(settings: ServiceSettings) -> None:
    """Return once storage lets us in; the services' own clients would try for a minute."""
    secret = settings.storage_connection_string
    connection_string = secret.get_secret_value() if secret else None
    async with open_account(Account(connection_string, settings.storage_account_url)) as client:
        await BlobStore(client).reach(settings.dead_letters_container)


async def _redrive(letters: Letters, chosen: list[Letter]) -> int:
    refused = 0
    for letter in chosen:
        try:
            await letters.redrive(letter)
        except StylestreamError as error:
            refused += 1
            print(f"stylestream: {error}", file=sys.stderr)
        else:
            print(f"{letter.name}: sent again")
    return int(refused > 0)


def _chosen(found: list[Letter], names: list[str]) -> list[Letter]:
    if names == ["all"]:
        return found
    by_name = {letter.name: letter for letter in found}
    if missing := [name for name in names if name not in by_name]:
        raise ConfigurationError([f"there is no dead letter {name!r}" for name in missing])
    return [by_name[name] for name in names]


def _line(letter: Letter, *, as_json: bool) -> str:
    content = letter.content
    if as_json:
        return json.dumps({"name": letter.name, **content.model_dump()}, ensure_ascii=False)
    times = "1 attempt" if content.attempts == 1 else f"{content.attempts} attempts"
    return f"{letter.name}  {content.buried_at}  {content.code}, {times}: {content.cause}"


def _settings(directory: Path | None) -> ServiceSettings:
    """Return how to reach the hubs and storage: the environment's, or those of a running stack."""
    named = ("STORAGE_CONNECTION_STRING", "STORAGE_ACCOUNT_URL")
    if directory is None and any(map(os.environ.get, named)):
        return load(ServiceSettings)
    directory = directory or default_dir()
    state = running_stack(directory)
    if state is None:
        raise ConfigurationError([f"no stack runs in {directory}: {_WAYS}"])
    return ServiceSettings.model_validate(
        {
            "storage_connection_string": state.storage_connection_string,
            "eventhub_connection_string": state.eventhub_connection_string,
        }
    )
