"""Prepares the stack for its services: creates containers, and waits until all hubs respond.

Runs before any service, at every start of the compose stack and in every pod of the development
overlay, and exits. The hubs are queried through the SDK because an answer proves more than an open
port: that clients can sign in, and that the hubs exist under the names that the services use.
"""

# ruff: noqa: INP001 - a script of the image, in no package

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Final

import structlog
from azure.core.exceptions import ResourceExistsError
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load, refusing
from shared.telemetry import logs

log = structlog.get_logger()

# In a cluster the broker's image may have to be loaded first.
HUBS_DEADLINE_S: Final = 180.0
PAUSE_S: Final = 1.0


def main() -> None:
    """Prepare, or exit with 1 (a hub does not answer) or 2 (wrong configuration)."""
    with refusing("set-up"):
        settings = load(ServiceSettings)
        logs.configure(settings.log_level, settings.log_format, "set-up")
        try:
            asyncio.run(_prepare(settings))
        except TimeoutError:
            sys.exit(f"set-up: the hubs do not answer within {HUBS_DEADLINE_S:.0f} s")


async def _prepare(settings: ServiceSettings) -> None:
    async with AzureClients(settings) as clients:
        storage = await clients.storage()
        for container in settings.containers:
            with contextlib.suppress(ResourceExistsError):
                await storage.get_container_client(container).create_container()
        log.info("containers are there", containers=settings.containers)

        async with asyncio.timeout(HUBS_DEADLINE_S):
            for hub in settings.hubs.values():
                await answered(await clients.keep(await clients.producer(hub)), hub)
        log.info("hubs answer", hubs=[*settings.hubs.values()])


async def answered(client: EventHubProducerClient, hub: str) -> None:
    """Return once a hub has listed its partitions."""
    while True:
        try:
            await client.get_partition_ids()
        except EventHubError as error:
            log.info("waiting for a hub", hub=hub, error=str(error).splitlines()[0])
            await asyncio.sleep(PAUSE_S)
        else:
            return


if __name__ == "__main__":
    main()
