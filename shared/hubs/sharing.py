"""Partitions are given to newcomers, not taken by them.

By the SDK's rules a newcomer takes over one partition in each interval, whatever its owner has in
hand of it, and that is done twice. Here a newcomer announces that it waits. At their next look
owners of more than their share read the surplus no more, and release each partition when its work
is finished; the SDK's greedy strategy claims all that is released at once. Who was given nothing
for long takes over partitions as the SDK does: their owner may be of another version.

Ownership lies in the SDK's own blobs. An owner renews it when a third of its life is over, and not
at every look.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from azure.eventhub.aio import CheckpointStore

from shared.hubs.owners import owner_in, parted, signed
from shared.storage.blobs import BlobItem, BlobStore
from shared.telemetry.metrics import version

Ownership = dict[str, Any]
"""Who owns a partition, in the SDK's terms."""

Release = Callable[[str], Awaitable[None]]
"""Gives up a partition, by its id, of which nothing is in hand any more."""

PartWith = Callable[[int, Release], set[str]]
"""Chooses at most so many partitions to be read no more; each is released when it is finished."""

_RENEWALS_A_LIFE: Final = 3
_HUB: Final = ("fully_qualified_namespace", "eventhub_name", "consumer_group")
_WAITING: Final = "ownership-awaited"


def share(partitions: int, owned: Mapping[str, int], owner: str) -> int:
    """Return how many of the partitions ``owner`` keeps.

    All keep as many; of a remainder those keep one who own most already.

    >>> [share(5, {"a": 2, "b": 2, "c": 1, "new": 0}, owner) for owner in ("a", "b", "c", "new")]
    [2, 1, 1, 1]
    """
    each, more = divmod(partitions, len(owned))
    ranked = sorted(owned, key=lambda one: (-owned[one], one))
    return each + (ranked.index(owner) < more)


class SharedOwnership(CheckpointStore):
    """The checkpoint store of one consumer that shares a hub's partitions with others.

    ``positions`` keeps the positions, and writes ownership. ``expiry_s`` is how long an owner lives
    that writes nothing. Without ``part_with`` newcomers are given nothing, and take partitions by
    the SDK's rules.

    Raises:
        TransientError: from what concerns ownership, when storage is away; the SDK asks again.
    """

    def __init__(
        self,
        positions: CheckpointStore,
        blobs: BlobStore,
        container: str,
        expiry_s: float,
        part_with: PartWith | None,
    ) -> None:
        self._positions = positions
        self._blobs = blobs
        self._container = container
        self._expiry_s = expiry_s
        self._part_with = part_with
        self._version = version()
        self._owner = ""
        self._owners: dict[str, str] = {}
        """The live owner of each partition that has one, as it was listed last."""
        self._listed: list[Ownership] = []
        """All partitions that ever had an owner."""
        self._waiting: set[str] = set()
        """The consumers that wait for partitions, as they were listed last."""
        self._held: dict[str, Ownership] = {}
        self._leaving: dict[str, bool] = {}
        """Held partitions that are read no more, and whether they are finished."""
        self._announced: str | None = None
        self._waits_since: float | None = None
        self._writing = asyncio.Lock()

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **_: Any
    ) -> Iterable[Ownership]:
        """List who owns which partition, and the others that wait, as if each owned one."""
        place = (fully_qualified_namespace, eventhub_name, consumer_group)
        hub = dict(zip(_HUB, place, strict=True))
        owned: list[Ownership] = []
        waiting: list[BlobItem] = []
        async for item in self._blobs.items(self._container, f"{_folder(hub)}/ownership"):
            kind, last = item.name.split("/")[-2:]
            if kind == _WAITING:
                waiting.append(item)
            else:
                consumer, _version = owner_in(item.metadata)
                owned.append(_ownership(hub, item, last, consumer))
        self._listed = owned
        self._owners = {
            each["partition_id"]: each["owner_id"]
            for each in owned
            if each["owner_id"] and self._lives(each["last_modified_time"])
        }
        await self._forget(item for item in waiting if not self._lives(item.modified_s))
        alive = {item.name.split("/")[-1]: item for item in waiting if self._lives(item.modified_s)}
        self._waiting = set(alive)
        alive.pop(self._owner, None)
        # The SDK writes itself into what it wants.
        listed = [{**each} for each in owned]
        return [*listed, *(_ownership(hub, item, "", one) for one, item in alive.items())]

    async def claim_ownership(
        self, ownership_list: Iterable[Ownership], **_: Any
    ) -> Iterable[Ownership]:
        """Keep what is ours, but for a surplus, and claim what is nobody's; return what is read."""
        wanted = list(ownership_list)
        owner = next((each["owner_id"] for each in wanted), "")
        if not owner:
            # The SDK releases what it has read until now.
            return await self._positions.claim_ownership(wanted)
        async with self._writing:
            self._owner = owner
            await self._renew([each for each in wanted if self._owner_of(each) == owner])
            if self._part_with is None:
                others = [each for each in wanted if self._owner_of(each) != owner]
                self._held |= {each["partition_id"]: each for each in await self._claim(others)}
                return list(self._held.values())
            await self._part_with_surplus(self._part_with)
            free = [each for each in wanted if self._owner_of(each) is None]
            others = [each for each in wanted if self._owner_of(each) not in {None, owner}]
            claimed = [] if self._others_come_first() else await self._claim(self._portion(free))
            if others and not (claimed or self._held):
                claimed = await self._wait_or_take(others)
            self._held |= {each["partition_id"]: each for each in claimed}
            if self._held:
                await self._wait_no_more()
            return [each for id_, each in self._held.items() if id_ not in self._leaving]

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """List how far the partitions have been worked off."""
        return await self._positions.list_checkpoints(
            fully_qualified_namespace, eventhub_name, consumer_group, **kwargs
        )

    async def update_checkpoint(self, checkpoint: dict[str, Any], **kwargs: Any) -> None:
        """Write a partition's position."""
        await self._positions.update_checkpoint(checkpoint, **kwargs)

    async def _release(self, partition_id: str) -> None:
        """Give up a partition that is read no more. What fails is tried again at the next look."""
        async with self._writing:
            if partition_id in self._leaving:
                self._leaving[partition_id] = True
                await self._claim([{**self._held[partition_id], "owner_id": ""}])

    def _owner_of(self, wanted: Ownership) -> str | None:
        return self._owners.get(wanted["partition_id"]) if wanted["partition_id"] else ""

    async def _renew(self, held: list[Ownership]) -> None:
        """Show that the owner of what is ``held`` lives; some of it may be lost to others."""
        aged_s = time.time() - self._expiry_s / _RENEWALS_A_LIFE
        fresh = [each for each in held if each["last_modified_time"] > aged_s]
        renewed = await self._claim([each for each in held if each["last_modified_time"] <= aged_s])
        self._held = {each["partition_id"]: each for each in (*fresh, *renewed)}
        self._leaving = {id_: done for id_, done in self._leaving.items() if id_ in self._held}

    async def _part_with_surplus(self, part_with: PartWith) -> None:
        keeps = share(len(self._listed), self._counts(), self._owner)
        surplus = len(self._held) - len(self._leaving) - keeps
        if surplus > 0:
            self._leaving |= dict.fromkeys(part_with(surplus, self._release), False)
        finished = [self._held[id_] for id_, done in self._leaving.items() if done]
        await self._claim([{**each, "owner_id": ""} for each in finished])

    def _others_come_first(self) -> bool:
        """Whether we have our share and others have not."""
        counts = self._counts()
        each = len(self._listed) // len(counts)
        return counts.pop(self._owner) >= each and any(count < each for count in counts.values())

    def _portion(self, free: list[Ownership]) -> list[Ownership]:
        """Choose as many others as the SDK has drawn by lot, which no other newcomer chooses."""
        nobodys = [each for each in self._listed if self._owner_of(each) is None]
        if not free or len(nobodys) < len(free):
            return free
        counts = self._counts()
        each = len(self._listed) // len(counts)
        newcomers = sorted(one for one in {*counts} if counts[one] < each or one == self._owner)
        first = newcomers.index(self._owner) * len(free) % len(nobodys)
        chosen = (nobodys[first:] + nobodys[:first])[: len(free)]
        return [{**one, "owner_id": self._owner} for one in chosen]

    def _counts(self) -> dict[str, int]:
        """Count the partitions of everybody who owns some or waits, and of ourselves."""
        return dict.fromkeys({*self._waiting, self._owner}, 0) | Counter(self._owners.values())

    async def _wait_or_take(self, others: list[Ownership]) -> list[Ownership]:
        """Announce that we wait for partitions of ``others``, and claim one after a life of it."""
        now = time.monotonic()
        self._waits_since = self._waits_since or now
        if now - self._waits_since > self._expiry_s:
            return await self._claim([each for each in others if each["partition_id"]])
        self._announced = f"{_folder(others[0])}/{_WAITING}/{self._owner}"
        await self._blobs.replace(self._container, self._announced, b"")
        return []

    async def _wait_no_more(self) -> None:
        self._waits_since = None
        if self._announced is not None:
            await self._blobs.delete(self._container, self._announced)
            self._announced = None

    async def _claim(self, wanted: list[Ownership]) -> list[Ownership]:
        if not wanted:
            return []
        ours = [{**each, "owner_id": signed(each["owner_id"], self._version)} for each in wanted]
        claimed = await self._positions.claim_ownership(ours)
        return [{**each, "owner_id": parted(each["owner_id"])[0]} for each in claimed]

    async def _forget(self, waiting: Iterable[BlobItem]) -> None:
        for item in waiting:
            await self._blobs.delete(self._container, item.name)

    def _lives(self, written_s: float) -> bool:
        # By the clocks that the SDK compares, too.
        return written_s + self._expiry_s > time.time()


def _folder(hub: Mapping[str, Any]) -> str:
    return "/".join(hub[part] for part in _HUB).lower()


def _ownership(hub: Mapping[str, str], item: BlobItem, partition_id: str, owner: str) -> Ownership:
    return {
        **hub,
        "partition_id": partition_id,
        "owner_id": owner,
        "etag": f'"{item.etag}"',
        "last_modified_time": item.modified_s,
    }
