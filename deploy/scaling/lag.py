"""Reads hubs and checkpoints like KEDA, and prints what KEDA would do::

    python -m deploy.scaling.lag

Hubs and storage come from the environment, as for the services. For times when a pool stays at zero
although work waits, or stays up although none does.
"""

from __future__ import annotations

import asyncio
import sys

from azure.core.exceptions import ResourceNotFoundError
from azure.eventhub.aio import EventHubProducerClient
from azure.storage.blob.aio import ContainerClient

from deploy.scaling.keda import Partition, lag_of, unprocessed
from shared.contracts.errors import ConfigurationError
from shared.service.checkpoints import namespace_of
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load


async def look(
    client: EventHubProducerClient, checkpoints: ContainerClient, settings: ServiceSettings
) -> dict[str, Partition]:
    """Return KEDA's input for each partition.

    KEDA looks for checkpoints under the namespace and hub as given, and the consumer group in lower
    case; it does not find those under other names.
    """
    prefix = f"{namespace_of(settings)}/{client.eventhub_name}/{settings.consumer_group.lower()}"

    async def look_at(partition_id: str) -> Partition:
        properties = await client.get_partition_properties(partition_id)
        blob = checkpoints.get_blob_client(f"{prefix}/checkpoint/{partition_id}")
        try:
            reached = int((await blob.get_blob_properties()).metadata["sequencenumber"])
        except ResourceNotFoundError:
            reached = None
        return Partition(
            int(properties["beginning_sequence_number"]),
            int(properties["last_enqueued_sequence_number"]),
            reached,
        )

    ids = await client.get_partition_ids()
    return dict(zip(ids, await asyncio.gather(*map(look_at, ids)), strict=True))


def main() -> None:
    """Print every hub's lag; exit 2 on wrong configuration."""
    try:
        print("\n".join(asyncio.run(report(load(ServiceSettings)))))
    except ConfigurationError as error:
        print("\n".join(error.problems), file=sys.stderr)
        sys.exit(2)


async def report(settings: ServiceSettings) -> list[str]:
    """Return a line for each hub, and one for each of its partitions."""
    lines = []
    async with AzureClients(settings) as clients:
        storage = await clients.blobs()
        for hub in settings.hubs.values():
            checkpoints = storage.get_container_client(settings.checkpoints_container(hub))
            client = await clients.keep(await clients.producer(hub))
            partitions = await look(client, checkpoints, settings)
            lag = lag_of(partitions.values())
            lines.append(
                f"{hub}: lag {lag.events}, the pool {'runs' if lag.wakes() else 'may be at zero'}"
            )
            lines += [
                f"  {partition_id:>2}: events {partition.first} to {partition.last}, "
                f"checkpoint {partition.checkpoint}, lag {unprocessed(partition)}"
                for partition_id, partition in partitions.items()
            ]
    return lines


if __name__ == "__main__":
    main()
