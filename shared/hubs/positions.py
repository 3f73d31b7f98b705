"""Positions that only go forward: the SDK's checkpoint store, but for how checkpoints are written.

The SDK overwrites whatever checkpoint is there. An owner that stood still while its partitions went
to others, typically on a paused machine, would overwrite their newer position with its old one when
it resumes. Nothing would be lost, but the lag would never go away, and a pool would be kept up
forever; a request that storage carries out twice has the same effect. So a position is compared
with the stored one, and replaces exactly that version. It is recorded with the creation time of its
hub: if the hub was recreated, positions in the earlier one mean nothing. A consumer that began to
read the new hub behind one of them has skipped events, so what it reaches counts for the earlier
hub, too, until it begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, Protocol

from azure.eventhub.aio import EventHubConsumerClient

from shared.contracts.errors import TransientError
from shared.storage.blobs import BlobStore

HUB: Final = ("fully_qualified_namespace", "eventhub_name", "consumer_group")
"""The keys of the SDK's ownerships and checkpoints that say of which hub, and of which readers."""

HUB_MADE: Final = "hubmade"
"""Metadata key of a checkpoint blob: when the hub of its position was created, ISO 8601."""

BEGAN_IN: Final[ContextVar[Mapping[str, str]]] = ContextVar("began_in")
"""By partition, when the hub of the position was created from which the SDK begins to read it. The
SDK starts the task of a claim right after it has listed the positions, so each task sees those that
its own claim began from, whatever is listed or corrected later."""


class HubFacts(NamedTuple):
    """What a hub says about itself."""

    made: str
    """When it was created, ISO 8601; empty if it does not say."""
    partitions: frozenset[str]
    """The ids of its partitions."""


class Corrected(NamedTuple):
    """The result of checking all positions of a hub."""

    positions: int
    """How many were written, because they were wrong or missing."""
    hub: HubFacts


class Positions(Protocol):
    """How far the partitions of one hub have been processed.

    Raises:
        TransientError: from every method, when the hub or storage is unavailable.
    """

    async def reached(self) -> Mapping[str, int]:
        """Return the last sequence number processed, by partition; -1 before the first event.

        Partitions without a position are left out.
        """

    async def facts(self, client: EventHubConsumerClient) -> HubFacts:
        """Return what the hub says about itself."""

    async def correct(self, client: EventHubConsumerClient) -> Corrected:
        """Correct the positions that cannot belong to this hub."""


class Incarnation:
    """One of successive hubs of a name; the events of one that is ``gone`` come to nobody again."""

    __slots__ = ("gone",)

    def __init__(self) -> None:
        self.gone = False


class HubIdentity:
    """Knows which of several successive hubs of one name a client reads, and its partitions.

    A hub that was deleted and recreated, or restored elsewhere, begins anew. The SDK would wait
    forever for events after a position that it has not reached, or skip the events before it.

    A hub can also be given further partitions. The SDK reads those that it has found first.
    """

    def __init__(self, positions: Positions) -> None:
        self.made = ""
        """When the hub was created, ISO 8601; empty while that is unknown."""
        self.grown = False
        """Whether the hub has other partitions by now."""
        self.incarnation = Incarnation()
        """The hub that is read, as far as is known."""
        self._partitions = frozenset[str]()
        self._positions = positions

    async def meet(self, client: EventHubConsumerClient) -> None:
        """Note which hub a new client reads; unknown if the hub or storage is unavailable."""
        self.made, self._partitions, self.grown = "", frozenset(), False
        with contextlib.suppress(TransientError):
            self.made, self._partitions = await self._positions.facts(client)

    async def changed(self, client: EventHubConsumerClient, began_in: Iterable[str]) -> bool:
        """Return whether another hub is there now.

        The one before is then ``gone``, and positions in it are corrected. ``began_in`` holds the
        creation times of the hubs in whose positions reading began.

        Raises:
            TransientError: the hub or storage is unavailable.
        """
        incarnation = self.incarnation
        corrected, (made, partitions) = await self._positions.correct(client)
        self.made = self.made or made
        self._partitions = self._partitions or partitions
        self.grown = partitions != self._partitions
        # Another service may have corrected the positions before.
        known = {self.made, *began_in} - {""}
        changed = bool(corrected or (made and known != {made}))
        if changed and not incarnation.gone:
            incarnation.gone, self.incarnation = True, Incarnation()
        return changed


def folder_of(record: Mapping[str, Any]) -> str:
    """Return the folder in which a consumer group's positions and owners in a hub are stored.

    ``record`` is an ownership or a checkpoint of the SDK.
    """
    return "/".join(record[key] for key in HUB).lower()


def position_in(metadata: Mapping[str, str]) -> int | None:
    """Return the sequence number in a checkpoint blob's metadata; None without a valid one.

    >>> position_in({"sequencenumber": "41", "offset": "4100"}), position_in({})
    (41, None)
    """
    try:
        return int(metadata["sequencenumber"])
    except (KeyError, ValueError):
        return None


class ForwardCheckpointStore:
    """The half of a checkpoint store that keeps positions; `SharedOwnership` is the other.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(self, blobs: BlobStore, container: str) -> None:
        self._blobs = blobs
        self._container = container
        self._written: dict[str, tuple[int, str]] = {}
        """By blob: the position that was last written here, and the resulting ETag."""

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **_: Any
    ) -> Iterable[dict[str, Any]]:
        """List how far the partitions have been processed, and note it in `BEGAN_IN`.

        A position that cannot be read is left out: its partition is read from the beginning.
        """
        place = (fully_qualified_namespace, eventhub_name, consumer_group)
        hub = dict(zip(HUB, place, strict=True))
        prefix = f"{folder_of(hub)}/checkpoint/"
        listed = {
            item.name.removeprefix(prefix): item.metadata
            async for item in self._blobs.items(self._container, prefix)
        }
        BEGAN_IN.set({id_: metadata.get(HUB_MADE, "") for id_, metadata in listed.items()})
        return [
            {**hub, "partition_id": id_, "offset": metadata["offset"], "sequence_number": reached}
            for id_, metadata in listed.items()
            if (reached := position_in(metadata)) is not None and "offset" in metadata
        ]

    async def update_checkpoint(
        self, checkpoint: dict[str, Any], *, hub_made: str = "", **_kwargs: Any
    ) -> None:
        """Write a partition's position, unless the stored one is at least as far.

        A stored position that cannot be read, because its blob was tampered with, is overwritten;
        one of another hub than that of ``hub_made`` is not.
        """
        name = f"{folder_of(checkpoint)}/checkpoint/{checkpoint['partition_id']}"
        reached = int(checkpoint["sequence_number"])
        position = {"offset": str(checkpoint["offset"]), "sequencenumber": str(reached)}
        if hub_made:
            position[HUB_MADE] = hub_made
        before, etag = self._written.get(name, (reached, ""))
        written = None
        if before < reached and hub_made:
            # The ordinary case: nobody else has written since, so there is no need to look first.
            written = await self._blobs.annotate(self._container, name, position, etag=etag)
        while written is None:
            found = await self._blobs.facts(self._container, name)
            if found is None:
                written = await self._blobs.create(self._container, name, b"", metadata=position)
            elif _stays(found.metadata, reached, hub_made):
                return
            else:
                known = {HUB_MADE: found.metadata[HUB_MADE]} if HUB_MADE in found.metadata else {}
                written = await self._blobs.annotate(
                    self._container, name, {**known, **position}, etag=found.etag
                )
        self._written[name] = (reached, written)


def _stays(metadata: Mapping[str, str], reached: int, hub_made: str) -> bool:
    there, made = position_in(metadata), metadata.get(HUB_MADE, "")
    of_another = bool(made and hub_made) and made != hub_made
    return there is not None and (of_another or there >= reached)
