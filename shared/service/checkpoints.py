"""Writes the positions that a hub lacks, so that an autoscaler sees its lag before anybody reads.

KEDA measures lag against checkpoint blobs. Where a partition has none, it guesses from the first
and last retained events, and guesses 0 if they are one event that is not the partition's very
first: a pool without replicas then stays at zero forever (KEDA's ``azure_eventhub_scaler.go``,
``GetUnprocessedEventCountWithoutCheckpoint``). So every service starts by writing what is missing
in its hub. Before any service has ever started, jobs do it with the services' identities, each of
which may write only the positions of the hub that it reads::

    python -m shared.service.checkpoints            # of all hubs
    python -m shared.service.checkpoints stylizer   # of the one that stylizers read

Two kinds of wrong positions are corrected as well. A position beyond its partition's end, or one
recorded with the creation time of another hub, belongs to an earlier hub of the same name: a
consumer would wait forever, or skip what the new hub holds. And where all events behind a position
have expired, the lag that is counted could never be worked off, and would keep a pool running for
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import structlog
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient

from shared.contracts.errors import TransientError
from shared.hubs.connections import namespace_in
from shared.hubs.positions import HUB_MADE, Corrected, HubFacts, position_in
from shared.hubs.queries import answering
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings, load, refusing
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobItem
from shared.telemetry import logs

log = structlog.get_logger()

_Client = EventHubConsumerClient | EventHubProducerClient

READERS: Final = ("splitter", "stylizer", "assembler")
"""The services, each of which reads one of `ServiceSettings.hubs`."""

BEGINNING: Final = "-1"
"""The offset before a partition's first event, the same in Azure and in its emulators."""


@dataclass(frozen=True, slots=True)
class Partition:
    """What a hub reports about a partition. Events are counted from 0; -1 is before the first."""

    id: str
    first: int
    last: int
    last_offset: str
    empty: bool


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition has been read: up to and including this event."""

    offset: str
    sequence_number: int

    @property
    def metadata(self) -> dict[str, str]:
        """The position as the SDK's checkpoint store keeps it, and as KEDA reads it."""
        return {"offset": self.offset, "sequencenumber": str(self.sequence_number)}


def right_position(partition: Partition, reached: int | None) -> Position | None:
    """Return the position to write; None if the one that was ``reached`` is right.

    ``reached`` must have been looked up before ``partition``: otherwise a consumer that advances
    in between makes it look like another hub's.
    """
    if reached is None or reached > partition.last:
        # Everything that is retained is unread; expired events do not count as lag.
        return Position(BEGINNING, partition.last if partition.empty else partition.first - 1)
    if partition.empty and reached < partition.last:
        return Position(partition.last_offset, partition.last)
    return None


class Noted(NamedTuple):
    """How far a partition has been processed, as recorded by its readers."""

    reached: int
    """Sequence number of the last event that is done; -1 before the first."""
    hub_made: str
    """When the hub of this position was created, ISO 8601; empty if unknown."""


def _noted(metadata: Mapping[str, str]) -> Noted:
    position = position_in(metadata)
    return Noted(-1 if position is None else position, metadata.get(HUB_MADE, ""))


@dataclass(frozen=True, slots=True)
class HubPositions:
    """How far the services have processed one hub; see `shared.hubs.positions.Positions`."""

    blobs: BlobStore
    settings: ServiceSettings
    hub: str

    async def reached(self) -> Mapping[str, int]:
        """Return the last sequence number processed, by partition; -1 before the first event.

        Partitions without a position are left out.

        Raises:
            TransientError: storage is unavailable.
        """
        return {id_: noted.reached for id_, noted in (await self.noted()).items()}

    async def noted(self) -> Mapping[str, Noted]:
        """Return how far each partition has been processed, and in which hub, with one request.

        Partitions without a position are left out.

        Raises:
            TransientError: storage is unavailable.
        """
        stored = await _stored(self.blobs, self.settings, self.hub)
        return {id_: _noted(item.metadata) for id_, item in stored.items()}

    async def facts(self, client: EventHubConsumerClient) -> HubFacts:
        """Return what ``client``'s hub says about itself.

        Raises:
            TransientError: the hub did not answer.
        """
        async with answering(client.eventhub_name, "look up"):
            return await _look_up_hub(client)

    async def correct(self, client: EventHubConsumerClient) -> Corrected:
        """Correct the positions that can only belong to an earlier hub.

        All others are left to the consumers while they run; see `prepare`.

        Raises:
            TransientError: the hub or storage did not answer.
        """
        async with answering(client.eventhub_name, "look up"):
            return await _prepare(client, self.blobs, self.settings, only_impossible=True)


async def prepare(client: _Client, blobs: BlobStore, settings: ServiceSettings) -> int:
    """Write the positions that ``client``'s hub lacks, and correct wrong ones; return how many.

    Safe to run at any time, concurrently and beside consumers: a position that is written
    meanwhile stays.

    Raises:
        TransientError: the hub or storage did not answer.
    """
    async with answering(client.eventhub_name, "look up"):
        return (await _prepare(client, blobs, settings, only_impossible=False)).positions


async def _look_up_hub(client: _Client) -> HubFacts:
    # Twice, because some emulators report the time of the request: then it is not known.
    first, second = [await client.get_eventhub_properties() for _ in range(2)]
    same = first["created_at"] == second["created_at"]
    made = str(first["created_at"].isoformat()) if same else ""
    return HubFacts(made, frozenset(second["partition_ids"]))


async def _prepare(
    client: _Client, blobs: BlobStore, settings: ServiceSettings, *, only_impossible: bool
) -> Corrected:
    hub = await _look_up_hub(client)
    # Before the partitions are looked up: see `right_position`.
    positions = await _stored(blobs, settings, client.eventhub_name)
    preparation = _Preparation(client, blobs, settings, hub.made, only_impossible)
    looks = (preparation.look(id_, positions.get(id_)) for id_ in hub.partitions)
    changes = [change for change in await asyncio.gather(*looks) if change]
    if changes and await _look_up_hub(client) != hub:
        # Positions in the new hub, recorded as in the old one, would be corrected once more later,
        # when its events have been read.
        raise TransientError(f"hub {client.eventhub_name} was replaced while it was looked up")
    return Corrected(sum(await asyncio.gather(*map(preparation.write, changes))), hub)


async def _stored(blobs: BlobStore, settings: ServiceSettings, hub: str) -> dict[str, BlobItem]:
    """Return the blobs of a hub's positions, by partition, with one request."""
    prefix = checkpoint_blob(settings, hub, "")
    there = blobs.items(settings.checkpoints_container(hub), prefix)
    return {item.name.removeprefix(prefix): item async for item in there}


class _Change(NamedTuple):
    """What is to be recorded of a partition's position."""

    partition_id: str
    metadata: dict[str, str]
    found: BlobItem | None
    """What there is now."""
    moves: bool
    """Whether the position itself changes."""


@dataclass(frozen=True, slots=True)
class _Preparation:
    """Corrects the positions in one hub, which was ``made`` then: ISO 8601, empty if unknown."""

    client: _Client
    blobs: BlobStore
    settings: ServiceSettings
    made: str
    only_impossible: bool

    async def look(self, partition_id: str, found: BlobItem | None) -> _Change | None:
        """Return how the position ``found`` of a partition has to change; None if it is right."""
        partition = look_up(await self.client.get_partition_properties(partition_id))
        reached = position_in(found.metadata) if found else None
        foreign = self._is_foreign(found)
        possible = not foreign and (reached is None or reached <= partition.last)
        if self.only_impossible and possible:
            return None
        made = {HUB_MADE: self.made} if self.made else {}
        position = right_position(partition, None if foreign else reached)
        if position is not None:
            return _Change(partition_id, {**position.metadata, **made}, found, moves=True)
        if found is not None and made and not found.metadata.get(HUB_MADE):
            # It was moved by hand, or written while the hub did not say when it was created.
            return _Change(partition_id, {**found.metadata, **made}, found, moves=False)
        return None

    def _is_foreign(self, found: BlobItem | None) -> bool:
        """Return whether a position belongs to another hub."""
        before = found.metadata.get(HUB_MADE, "") if found else ""
        return bool(self.made and before) and before != self.made

    async def write(self, change: _Change) -> bool:
        """Make a change, unless the position has changed meanwhile; return whether it moved."""
        id_, metadata, found, moves = change
        if found is None:
            name = checkpoint_blob(self.settings, self.client.eventhub_name, id_)
            etag = await self.blobs.create(self._container, name, b"", metadata=metadata)
        else:
            etag = await self.blobs.annotate(self._container, found.name, metadata, etag=found.etag)
        if found is not None and moves and etag is not None:
            log.warning(
                "position corrected",
                hub=self.client.eventhub_name,
                partition=id_,
                before=found.metadata.get("sequencenumber"),
                after=metadata["sequencenumber"],
            )
        return moves and etag is not None

    @property
    def _container(self) -> str:
        return self.settings.checkpoints_container(self.client.eventhub_name)


def look_up(found: Mapping[str, Any]) -> Partition:
    """Return a partition from the properties that the SDK has looked up."""
    return Partition(
        str(found["id"]),
        int(found["beginning_sequence_number"]),
        int(found["last_enqueued_sequence_number"]),
        str(found["last_enqueued_offset"]),
        bool(found["is_empty"]),
    )


def checkpoint_blob(settings: ServiceSettings, hub: str, partition_id: str) -> str:
    """Name the blob in which the SDK's checkpoint store keeps a partition's position.

    The store puts the whole name in lower case, KEDA only the consumer group, so the names of
    namespaces and hubs should be in lower case.
    """
    group = settings.consumer_group
    return f"{namespace_of(settings)}/{hub}/{group}/checkpoint/{partition_id}".lower()


def namespace_of(settings: ServiceSettings) -> str:
    """Return the host name of the settings' Event Hubs namespace."""
    if connection := settings.eventhub_connection_string:
        return namespace_in(connection.get_secret_value())
    assert settings.eventhub_fully_qualified_namespace
    return settings.eventhub_fully_qualified_namespace


def main() -> None:
    """Prepare the hubs that the named services read, or all of them.

    Exits with 1 (no answer) or 2 (wrong configuration).
    """
    parser = argparse.ArgumentParser(prog="checkpoints")
    parser.add_argument("services", nargs="*", choices=[[], *READERS], metavar="SERVICE")
    services = parser.parse_args().services or READERS
    with refusing("checkpoints"):
        settings = load(ServiceSettings)
        logs.configure(settings.log_level, settings.log_format, "checkpoints")
        try:
            asyncio.run(prepare_all(settings, services))
        except TransientError as error:
            sys.exit(f"checkpoints: {error}")


async def prepare_all(settings: ServiceSettings, services: Iterable[str] = READERS) -> None:
    """Prepare the hubs that ``services`` read."""
    async with AzureClients(settings) as clients:
        blobs = BlobStore(await clients.blobs())
        for hub in (settings.hubs[service] for service in services):
            # A producer client can look a hub up, too, whether the identity may send or receive.
            async with await clients.producer(hub) as client:
                written = await prepare(client, blobs, settings)
            log.info("positions exist", hub=hub, written=written)


if __name__ == "__main__":
    main()
