"""Positions that only go forward: the SDK's checkpoint store, but for how checkpoints are written.

The SDK writes a checkpoint over whatever is there. An owner that stood still while its partitions
went to others, a paused machine above all, would write its old position over their newer one when
it comes back. Nothing would be lost, but the lag would never go, and a pool would be kept up for
ever; a request that storage carries out twice does the same. So a position is compared with the one
that is there, and replaces exactly that. It is noted with the creation of its hub: where that was
made anew meanwhile, what was read of the earlier one says nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from azure.eventhub.aio import CheckpointStore, EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

from shared.contracts.errors import TransientError
from shared.storage.blobs import BlobStore

HUB_MADE: Final = "hubmade"
"""Metadata of a checkpoint blob: when the hub was made that its position is of, ISO 8601."""


class Corrected(NamedTuple):
    """What a look at all positions of a hub found."""

    positions: int
    """How many could not be of this hub, and were put right."""
    hub_made: str
    """When the hub was made, ISO 8601; empty when it does not say."""


class Positions(Protocol):
    """How far the partitions of one hub are worked off.

    Raises:
        TransientError: from every method, when the hub or storage is away.
    """

    async def reached(self, partition_id: str) -> int:
        """Return the sequence number up to which a partition is; -1 before its first event."""

    async def all_reached(self) -> Mapping[str, int]:
        """Return the same of every partition that was worked off at all, by one request."""

    async def made(self, client: EventHubConsumerClient) -> str:
        """Return when the hub was made, ISO 8601; empty when it does not say."""

    async def correct(self, client: EventHubConsumerClient) -> Corrected:
        """Put right the positions that cannot be of this hub."""


class HubIdentity:
    """Knows which of the hubs that had one name, one after the other, a client has met.

    A hub that was deleted and made again, or restored elsewhere, begins anew. The SDK would ask it
    forever for what comes behind a position that it has never reached, or pass over what comes
    before it.
    """

    def __init__(self, positions: Positions) -> None:
        self.made = ""
        """When the hub was made, ISO 8601; empty while that is not known."""
        self._positions = positions

    async def meet(self, client: EventHubConsumerClient) -> None:
        """Note which hub a new client reads; until then it is not known."""
        self.made = ""
        with contextlib.suppress(TransientError):
            self.made = await self._positions.made(client)

    async def changed(self, client: EventHubConsumerClient) -> bool:
        """Return whether another hub is there now; positions of the earlier one are put right.

        Raises:
            TransientError: the hub or storage is away.
        """
        corrected, made = await self._positions.correct(client)
        self.made = self.made or made
        # Another service may have put the positions right before.
        return bool(corrected or (made and made != self.made))


def position_in(metadata: Mapping[str, str]) -> int | None:
    """Return the sequence number in a checkpoint blob's metadata; None when it holds none.

    >>> position_in({"sequencenumber": "41", "offset": "4100"}), position_in({})
    (41, None)
    """
    try:
        return int(metadata["sequencenumber"])
    except (KeyError, ValueError):
        return None


class ForwardCheckpointStore(CheckpointStore):
    """Keeps ownership as `BlobCheckpointStore` does, in the same blobs; see there.

    Raises:
        TransientError: from `update_checkpoint`, when storage is away; nothing was written then.
    """

    def __init__(self, store: BlobCheckpointStore, blobs: BlobStore, container: str) -> None:
        self._store = store
        self._blobs = blobs
        self._container = container
        self._written: dict[str, tuple[int, str]] = {}
        """By blob: the position that was written here last, and the ETag that this gave."""

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """List who owns which partition."""
        return await self._store.list_ownership(
            fully_qualified_namespace, eventhub_name, consumer_group, **kwargs
        )

    async def claim_ownership(
        self, ownership_list: Iterable[dict[str, Any]], **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """Try to own partitions; return those that are owned now."""
        return await self._store.claim_ownership(ownership_list, **kwargs)

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """List how far the partitions have been worked off."""
        return await self._store.list_checkpoints(
            fully_qualified_namespace, eventhub_name, consumer_group, **kwargs
        )

    async def update_checkpoint(
        self, checkpoint: dict[str, Any], *, hub_made: str = "", **_kwargs: Any
    ) -> None:
        """Write a partition's position, unless the one that is there is as far.

        One that cannot be read, since somebody has spoilt its blob, is written over; one of
        another hub than that of ``hub_made`` is not.
        """
        place = ("fully_qualified_namespace", "eventhub_name", "consumer_group")
        name = "/".join([*(checkpoint[part] for part in place), "checkpoint"])
        name = f"{name}/{checkpoint['partition_id']}".lower()
        reached = int(checkpoint["sequence_number"])
        position = {"offset": str(checkpoint["offset"]), "sequencenumber": str(reached)}
        if hub_made:
            position[HUB_MADE] = hub_made
        before, etag = self._written.get(name, (reached, ""))
        written = None
        if before < reached and hub_made:
            # Nobody else has written since: the ordinary case, which is worth no look.
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
