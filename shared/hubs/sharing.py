"""Hands partitions over to newcomers, instead of letting them be taken.

By the SDK's rules, a newcomer takes over one partition per interval, whatever its owner has in hand
of it, and that work is done twice. Here a newcomer announces that it waits. At their next look,
owners of more than their share stop reading the surplus, and release each partition when its work
is finished; the SDK's greedy strategy claims all that is released at once. A newcomer that is given
nothing for long takes partitions as the SDK does: their owner may be of another version.

Ownership is kept in the SDK's own blobs. After a third of the expiry, an owner renews one of them
on behalf of all its own (`shared.hubs.owners`). While there is nothing to share, consumers skip
most intervals' looks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from azure.eventhub.aio import CheckpointStore

from shared.hubs.owners import format_owner, name_in, parse_owner, signs_of_life
from shared.hubs.positions import HUB, ForwardCheckpointStore, folder_of
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobItem
from shared.telemetry.version import version

Ownership = dict[str, Any]
"""The ownership of a partition, as the SDK represents it."""

Release = Callable[[str], Awaitable[None]]
"""Releases a partition, by its id, once nothing of it is in hand."""

BeginHandover = Callable[[int, Release], set[str]]
"""Stops reading at most that many partitions, and returns them; each is released when finished."""

_RENEWALS_A_LIFE: Final = 3
_CALM_S: Final = 6.0
"""The most seconds between two looks while there is nothing to share."""
_CALM_SHARE: Final = 2 / 3
"""The same as a share of the expiry; after a whole one, a newcomer stops waiting for a handover."""
_WAITING: Final = "ownership-awaited"


def share(partitions: int, owned: Mapping[str, int], owner: str) -> int:
    """Return how many of the partitions ``owner`` keeps.

    All keep the same number; a remainder goes to those who own most already, one each.

    >>> [share(5, {"a": 2, "b": 2, "c": 1, "new": 0}, owner) for owner in ("a", "b", "c", "new")]
    [2, 1, 1, 1]
    """
    each, more = divmod(partitions, len(owned))
    ranked = sorted(owned, key=lambda one: (-owned[one], one))
    return each + (ranked.index(owner) < more)


class SharedOwnership(CheckpointStore):
    """The checkpoint store of one consumer that shares a hub's partitions with others.

    ``positions`` keeps the positions, and ``claims``, the SDK's own store, writes ownership.
    ``expiry_s`` is how long an owner counts as alive without writing. Without ``begin_handover``,
    nothing is handed over, and newcomers take partitions by the SDK's rules.

    Raises:
        TransientError: from the ownership methods, when storage is unavailable; the SDK retries.
    """

    def __init__(
        self,
        positions: ForwardCheckpointStore,
        claims: CheckpointStore,
        blobs: BlobStore,
        container: str,
        expiry_s: float,
        begin_handover: BeginHandover | None,
    ) -> None:
        self._positions = positions
        self._claims = claims
        self._blobs = blobs
        self._container = container
        self._expiry_s = expiry_s
        self._begin_handover = begin_handover
        self._version = version()
        self._owner = ""
        self._owners: dict[str, str] = {}
        """The live owner of each partition that has one, as last listed."""
        self._listed: list[Ownership] = []
        """All partitions that ever had an owner."""
        self._waiting: dict[str, Ownership] = {}
        """The consumers that wait for partitions, as last listed."""
        self._look_due_s = 0.0
        """By the monotonic clock; until then, the last listing is trusted."""
        self._renewed_s: dict[str, float] = {}
        """When we last claimed each partition, by the monotonic clock."""
        self._held: dict[str, Ownership] = {}
        self._leaving: dict[str, bool] = {}
        """Held partitions that are no longer read, and whether they are finished."""
        self._announced: str | None = None
        self._announced_s = 0.0
        self._waits_since: float | None = None
        self._writing = asyncio.Lock()

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **_: Any
    ) -> Iterable[Ownership]:
        """List who owns which partition, and other waiting consumers as if each owned one."""
        due = time.monotonic() >= self._look_due_s or not self._others_live()
        if due:
            # A release in the meantime makes the next look due at once.
            self._look_due_s = time.monotonic() + min(_CALM_S, self._expiry_s * _CALM_SHARE)
            try:
                await self._look((fully_qualified_namespace, eventhub_name, consumer_group))
            except BaseException:
                self._look_due_s = 0.0
                raise
        known = {} if due else self._held
        # Copies, because the SDK writes itself into those that it wants.
        listed = [{**known.get(each["partition_id"], each)} for each in self._listed]
        others = (each for one, each in self._waiting.items() if one != self._owner)
        return [*listed, *({**each} for each in others)]

    async def _look(self, place: tuple[str, str, str]) -> None:
        hub = dict(zip(HUB, place, strict=True))
        owned: dict[str, BlobItem] = {}
        waiting: list[BlobItem] = []
        async for item in self._blobs.items(self._container, f"{folder_of(hub)}/ownership"):
            kind, last = item.name.split("/")[-2:]
            if kind == _WAITING:
                waiting.append(item)
            else:
                owned[last] = item
        names = {id_: name_in(item.metadata) for id_, item in owned.items()}
        lives = signs_of_life({id_: (names[id_], item.modified_s) for id_, item in owned.items()})
        self._listed = [
            _ownership(hub, item, id_, parse_owner(names[id_])[0], lives[id_])
            for id_, item in owned.items()
        ]
        self._owners = {
            id_: parse_owner(name)[0]
            for id_, name in names.items()
            if name and self._lives(lives[id_])
        }
        await self._forget(item for item in waiting if not self._lives(item.modified_s))
        self._waiting = {
            one: _ownership(hub, item, "", one, item.modified_s)
            for item in waiting
            if self._lives(item.modified_s) and (one := item.name.split("/")[-1])
        }

    def _others_live(self) -> bool:
        """Return whether all owners that were alive in the last listing still are."""
        return all(
            self._lives(each["last_modified_time"])
            for each in self._listed
            if self._owner_of(each) not in {None, self._owner}
        )

    async def claim_ownership(
        self, ownership_list: Iterable[Ownership], **_: Any
    ) -> Iterable[Ownership]:
        """Keep our partitions but for a surplus, and claim free ones; return those to be read."""
        wanted = list(ownership_list)
        owner = next((each["owner_id"] for each in wanted), "")
        if not owner:
            # The SDK is releasing the partitions that it has read until now.
            self._look_due_s = 0.0
            return await self._claims.claim_ownership(wanted)
        async with self._writing:
            self._owner = owner
            ours = [each for each in wanted if self._owner_of(each) == owner]
            await self._renew(ours)
            await self._share(wanted)
            if len(ours) < len(wanted) or len(self._held) != len(ours) or self._leaving:
                self._look_due_s = 0.0
            return [each for id_, each in self._held.items() if id_ not in self._leaving]

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """List how far the partitions have been processed."""
        return await self._positions.list_checkpoints(
            fully_qualified_namespace, eventhub_name, consumer_group, **kwargs
        )

    async def update_checkpoint(self, checkpoint: dict[str, Any], **kwargs: Any) -> None:
        """Write a partition's position."""
        await self._positions.update_checkpoint(checkpoint, **kwargs)

    async def _release(self, partition_id: str) -> None:
        """Release a partition that is no longer read; a failure is retried at the next look."""
        async with self._writing:
            if partition_id in self._leaving:
                self._leaving[partition_id] = True
                await self._claim([{**self._held[partition_id], "owner_id": ""}])

    def _owner_of(self, wanted: Ownership) -> str | None:
        return self._owners.get(wanted["partition_id"]) if wanted["partition_id"] else ""

    async def _renew(self, held: list[Ownership]) -> None:
        """Renew our ownership of what is ``held``; some of it may be lost to others.

        A partition that stays is renewed: one that is given away no longer says anything about us.
        """
        aged_s = time.monotonic() - self._expiry_s / _RENEWALS_A_LIFE
        self._held = {each["partition_id"]: each for each in held}
        renewed_s = {id_: self._renewed_s.get(id_, float("-inf")) for id_ in self._held}
        staying = [id_ for id_ in self._held if id_ not in self._leaving] or [*self._held]
        if all(renewed_s[id_] <= aged_s for id_ in staying):
            # In turn, so that the others are not long out of date when one is lost.
            for id_ in sorted(staying, key=lambda id_: renewed_s[id_]):
                renewed = await self._claim([self._held.pop(id_)])
                self._held |= {each["partition_id"]: each for each in renewed}
                if renewed:
                    break
        self._leaving = {id_: done for id_, done in self._leaving.items() if id_ in self._held}
        lives_s = max((each["last_modified_time"] for each in self._held.values()), default=0.0)
        for each in self._held.values():
            each["last_modified_time"] = lives_s

    async def _share(self, wanted: list[Ownership]) -> None:
        """Hand over our surplus, and claim those of the ``wanted`` that are not ours."""
        others = [each for each in wanted if self._owner_of(each) not in {None, self._owner}]
        free = [each for each in wanted if self._owner_of(each) is None]
        if self._begin_handover is None:
            claimed = await self._claim([*free, *others])
        else:
            await self._hand_over_surplus(self._begin_handover)
            claimed = [] if self._others_come_first() else await self._claim(self._portion(free))
            if others and not (claimed or self._held):
                claimed = await self._wait_or_take(others)
        self._held |= {each["partition_id"]: each for each in claimed}
        if self._held:
            await self._stop_waiting()

    async def _hand_over_surplus(self, begin_handover: BeginHandover) -> None:
        keeps = share(len(self._listed), self._counts(), self._owner)
        surplus = len(self._held) - len(self._leaving) - keeps
        if surplus > 0:
            self._leaving |= dict.fromkeys(begin_handover(surplus, self._release), False)
            await self._renew(list(self._held.values()))
        finished = [self._held[id_] for id_, done in self._leaving.items() if done]
        await self._claim([{**each, "owner_id": ""} for each in finished])

    def _others_come_first(self) -> bool:
        """Return whether we have our share and others do not have theirs."""
        counts = self._counts()
        each = len(self._listed) // len(counts)
        return counts.pop(self._owner) >= each and any(count < each for count in counts.values())

    def _portion(self, free: list[Ownership]) -> list[Ownership]:
        """Choose as many free partitions as the SDK picked, but different ones per newcomer."""
        unowned = [each for each in self._listed if self._owner_of(each) is None]
        if not free or len(unowned) < len(free):
            return free
        counts = self._counts()
        each = len(self._listed) // len(counts)
        newcomers = sorted(one for one in {*counts} if counts[one] < each or one == self._owner)
        first = newcomers.index(self._owner) * len(free) % len(unowned)
        chosen = (unowned[first:] + unowned[:first])[: len(free)]
        return [{**one, "owner_id": self._owner} for one in chosen]

    def _counts(self) -> dict[str, int]:
        """Count the partitions of every owner and waiting consumer, ourselves included."""
        return dict.fromkeys({*self._waiting, self._owner}, 0) | Counter(self._owners.values())

    async def _wait_or_take(self, others: list[Ownership]) -> list[Ownership]:
        """Announce that we wait for partitions of ``others``; claim them after a whole expiry."""
        now = time.monotonic()
        self._waits_since = self._waits_since or now
        if now - self._waits_since > self._expiry_s:
            return await self._claim([each for each in others if each["partition_id"]])
        if self._announced is None or now - self._announced_s > self._expiry_s / _RENEWALS_A_LIFE:
            self._announced = f"{folder_of(others[0])}/{_WAITING}/{self._owner}"
            await self._blobs.replace(self._container, self._announced, b"")
            self._announced_s = now
        return []

    async def _stop_waiting(self) -> None:
        self._waits_since = None
        if self._announced is not None:
            await self._blobs.delete(self._container, self._announced)
            self._announced = None

    async def _claim(self, wanted: list[Ownership]) -> list[Ownership]:
        if not wanted:
            return []
        ours = [
            {**each, "owner_id": format_owner(each["owner_id"], self._version)} for each in wanted
        ]
        before_s, etags = time.monotonic(), {each.get("etag") for each in ours}
        claimed = list(await self._claims.claim_ownership(ours))
        # Where storage did not answer, the SDK keeps a partition as ours, at its old version.
        written = (each["partition_id"] for each in claimed if each.get("etag") not in etags)
        self._renewed_s |= dict.fromkeys(written, before_s)
        return [{**each, "owner_id": parse_owner(each["owner_id"])[0]} for each in claimed]

    async def _forget(self, waiting: Iterable[BlobItem]) -> None:
        for item in waiting:
            await self._blobs.delete(self._container, item.name)

    def _lives(self, written_s: float) -> bool:
        # Compares the same clocks as the SDK: storage's and ours.
        return written_s + self._expiry_s > time.time()


def _ownership(
    hub: Mapping[str, str], item: BlobItem, partition_id: str, owner: str, lives_s: float
) -> Ownership:
    return {
        **hub,
        "partition_id": partition_id,
        "owner_id": owner,
        "etag": f'"{item.etag}"',
        "last_modified_time": lives_s,
    }
