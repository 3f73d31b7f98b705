"""The backlog of a hub, seen from outside, even while nobody reads it.

A consumer's own lag metric disappears with the consumer, so a pool at zero reports none. What stays
is in the hub (the ends of its partitions), in the checkpoint blobs (how far they have been
processed) and in the ownership blobs (who reads them now).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from shared.hubs.owners import name_in, owner_in, signs_of_life
from shared.hubs.positions import position_in
from shared.hubs.queries import answering
from shared.service.checkpoints import BEGINNING, Partition, checkpoint_blob, look_up
from shared.service.settings import ServiceSettings
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobItem

# Owners renew a few times per expiry; a second one allows for clocks that differ from storage's.
_EXPIRIES: Final = 2


@dataclass(frozen=True, slots=True)
class PartitionBacklog:
    """One partition: its events, and how far they have been processed."""

    partition: Partition
    position: int | None
    """Sequence number of the last event processed; None without a readable checkpoint."""
    owner: str | None
    """The consumer that reads it now; None if there is none."""
    version: str = ""
    """The owner's version; empty if unknown."""

    @property
    def reached(self) -> int:
        """The last event that needs no more work; events that expired unread need none, either."""
        if self.partition.empty:
            return self.partition.last
        before_first = self.partition.first - 1
        if self.position is None or self.position > self.partition.last:
            # Beyond the end: the position belongs to an earlier hub of the same name.
            return before_first
        return max(self.position, before_first)

    @property
    def waiting(self) -> int:
        """Events that are retained and not yet processed."""
        return self.partition.last - self.reached

    @property
    def expired(self) -> int:
        """Events that the hub dropped before they were processed."""
        if self.position is None or self.position > self.partition.last:
            return 0
        return max(self.reached - self.position, 0)


@dataclass(frozen=True, slots=True)
class Backlog:
    """A hub's backlog."""

    hub: str
    partitions: tuple[PartitionBacklog, ...]
    newest_s: float
    """When its newest event was enqueued, POSIX seconds; 0 if there never was one."""

    @property
    def waiting(self) -> int:
        """Events that are retained and not yet processed."""
        return sum(partition.waiting for partition in self.partitions)

    @property
    def expired(self) -> int:
        """Events that the hub dropped before they were processed."""
        return sum(partition.expired for partition in self.partitions)

    @property
    def enqueued(self) -> int:
        """Events ever sent to the hub."""
        return sum(one.partition.last + 1 for one in self.partitions)

    @property
    def finished(self) -> int:
        """Events ever processed or expired."""
        return self.enqueued - self.waiting

    @property
    def owned(self) -> int:
        """Partitions that have an owner now."""
        return sum(partition.owner is not None for partition in self.partitions)

    @property
    def versions(self) -> frozenset[str]:
        """The versions of the consumers that own partitions now."""
        return frozenset(one.version for one in self.partitions if one.owner is not None)


async def measure_backlog(
    client: EventHubConsumerClient, blobs: BlobStore, settings: ServiceSettings
) -> Backlog:
    """Return the backlog of ``client``'s hub.

    Raises:
        TransientError: the hub or storage did not answer.
    """
    hub = client.eventhub_name
    async with answering(hub, "read the state of"):
        # Positions first: read after the ends, they could be beyond them.
        records = await _checkpoints_and_owners(blobs, settings, hub)
        fresh_s = time.time() - _EXPIRIES * settings.ownership_expiry_s
        ids = await client.get_partition_ids()
        found = await asyncio.gather(*(client.get_partition_properties(one) for one in ids))
    newest_s = max((one["last_enqueued_time_utc"].timestamp() for one in found), default=0.0)
    lives = signs_of_life(
        {
            name: (name_in(blob.metadata), blob.modified_s)
            for name, blob in records.items()
            if "/ownership/" in name
        }
    )
    partitions = tuple(
        PartitionBacklog(
            partition,
            _position(records, checkpoint_blob(settings, hub, partition.id)),
            *_owner(records, lives, ownership_blob(settings, hub, partition.id), fresh_s),
        )
        for partition in map(look_up, found)
    )
    return Backlog(hub, partitions, max(newest_s, 0.0))


async def oldest_s(client: EventHubConsumerClient, one: PartitionBacklog) -> float:
    """Return when a partition's first waiting event was enqueued, POSIX seconds.

    It changes nothing, but ``client`` must be in a consumer group that no service uses.

    Raises:
        TransientError: the hub did not answer.
    """
    found: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def note(_context: PartitionContext, events: list[EventData]) -> None:
        if events and not found.done():
            assert events[0].enqueued_time is not None
            found.set_result(events[0].enqueued_time.timestamp())

    async def give_up(_context: PartitionContext, error: Exception) -> None:
        if not found.done():
            found.set_exception(error)

    reading = asyncio.create_task(
        client.receive_batch(
            note,
            on_error=give_up,
            partition_id=one.partition.id,
            starting_position=one.reached if one.reached >= 0 else BEGINNING,
            max_batch_size=1,
            prefetch=1,
        )
    )
    try:
        async with answering(client.eventhub_name, "read the state of"):
            return await found
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def ownership_blob(settings: ServiceSettings, hub: str, partition_id: str) -> str:
    """Name the blob in which the SDK's checkpoint store keeps the owner of a partition."""
    return checkpoint_blob(settings, hub, partition_id).replace("/checkpoint/", "/ownership/")


async def _checkpoints_and_owners(
    blobs: BlobStore, settings: ServiceSettings, hub: str
) -> Mapping[str, BlobItem]:
    """Return the checkpoint and ownership blobs of a hub, by name."""
    prefix = checkpoint_blob(settings, hub, "").removesuffix("checkpoint/")
    found = blobs.items(settings.checkpoints_container(hub), prefix)
    return {blob.name: blob async for blob in found}


def _position(records: Mapping[str, BlobItem], name: str) -> int | None:
    blob = records.get(name)
    return None if blob is None else position_in(blob.metadata)


def _owner(
    records: Mapping[str, BlobItem], lives: Mapping[str, float], name: str, fresh_s: float
) -> tuple[str | None, str]:
    blob = records.get(name)
    if blob is None or lives[name] < fresh_s:
        return None, ""
    # A consumer that shuts down cleanly releases its partitions by writing an empty owner.
    consumer, version = owner_in(blob.metadata)
    return consumer or None, version
