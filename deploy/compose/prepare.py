"""Make the stack ready for its services: containers, hubs that answer, positions that are valid.

Runs at every start of the compose stack, before any service, and ends. The hubs are asked through
the SDK because Microsoft's emulator has no shell for a health check of its own, and because an
answer proves more: clients get in, and the hubs are there under the names that the services use.

The emulator keeps no events over a restart, but Azurite keeps the positions that were reached in
them, and a consumer that starts behind the end of a new hub reads nothing for a long time. Such
positions are deleted. The watcher then announces the uploads again, and unfinished jobs begin anew.
"""

# ruff: noqa: INP001 - a script of the image, in no package

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from typing import Final

import structlog
from azure.core.exceptions import ResourceExistsError
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from shared.contracts.errors import ConfigurationError
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load
from shared.telemetry import logs

log = structlog.get_logger()

# The emulator is up within half a minute on a laptop; behind a slow disk it takes longer.
HUBS_DEADLINE_S: Final = 180.0
PAUSE_S: Final = 1.0

LastEvents = Mapping[tuple[str, str], int]
"""The sequence number of the last event by (hub, partition), -1 where there is none."""


def main() -> None:
    """Prepare, or exit with 1 (a hub does not answer) or 2 (wrong configuration)."""
    try:
        settings = load(ServiceSettings)
    except ConfigurationError as error:
        print("\n".join(f"set-up: {problem}" for problem in error.problems), file=sys.stderr)
        sys.exit(2)
    logs.configure(settings.log_level, settings.log_format, "set-up")
    try:
        asyncio.run(_prepare(settings))
    except TimeoutError:
        sys.exit(f"set-up: the hubs do not answer within {HUBS_DEADLINE_S:.0f} s")


async def _prepare(settings: ServiceSettings) -> None:
    async with AzureClients(settings) as clients:
        storage = await clients.storage()
        for container in containers_of(settings):
            with contextlib.suppress(ResourceExistsError):
                await storage.get_container_client(container).create_container()
        log.info("containers are there", containers=containers_of(settings))

        # Before the hubs are asked: in a stack that runs already, both go on.
        kept = [
            storage.get_container_client(settings.checkpoints_container(hub))
            for hub in hubs_of(settings)
        ]
        positions = {
            (checkpoints, blob.name): int((blob.metadata or {}).get("sequencenumber", -1))
            for checkpoints in kept
            async for blob in checkpoints.list_blobs(include=["metadata"])
        }
        last_events: dict[tuple[str, str], int] = {}
        async with asyncio.timeout(HUBS_DEADLINE_S):
            for hub in hubs_of(settings):
                client = await clients.keep(await clients.producer(hub))
                last_events |= await _ask(client, hub)
        log.info("hubs answer", hubs=hubs_of(settings))

        for (checkpoints, name), position in positions.items():
            if is_stale(name, position, last_events):
                await checkpoints.delete_blob(name)
                log.info("position in an earlier hub forgotten", checkpoint=name)


def containers_of(settings: ServiceSettings) -> list[str]:
    """Return the blob containers that the services use."""
    return [
        str(container)
        for name in type(settings).model_fields
        if name.endswith("_container") and (container := getattr(settings, name))
    ]


def hubs_of(settings: ServiceSettings) -> list[str]:
    """Return the hubs that the services use."""
    return [
        str(getattr(settings, name))
        for name in type(settings).model_fields
        if name.endswith("_hub")
    ]


async def _ask(client: EventHubProducerClient, hub: str) -> LastEvents:
    while True:
        try:
            return {
                (hub, partition): int(
                    (await client.get_partition_properties(partition))[
                        "last_enqueued_sequence_number"
                    ]
                )
                for partition in await client.get_partition_ids()
            }
        except EventHubError as error:
            log.info("waiting for a hub", hub=hub, error=str(error).splitlines()[0])
            await asyncio.sleep(PAUSE_S)


def is_stale(checkpoint: str, position: int, last_events: LastEvents) -> bool:
    """Tell whether a checkpoint lies behind the end of its hub, so that it must be an older hub's.

    Checkpoints are named ``<namespace>/<hub>/<group>/checkpoint/<partition>``.
    """
    match checkpoint.split("/"):
        case [_, hub, _, "checkpoint", partition] if (hub, partition) in last_events:
            return position > last_events[hub, partition]
    return False


if __name__ == "__main__":
    main()
