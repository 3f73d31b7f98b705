"""How soon a pool shares a hub, in simulated time: with the SDK's balancing and with ours.

What is simulated is time and storage; who claims what is decided by the real parts.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.eventhub._eventprocessor.common import LoadBalancingStrategy
from azure.eventhub.aio._eventprocessor._ownership_manager import OwnershipManager

from shared.hubs import sharing
from shared.hubs.owners import owner_in
from shared.hubs.sharing import Release, SharedOwnership
from shared.service.settings import ServiceSettings
from shared.storage.descriptions import BlobItem

PARTITIONS = 32
STEPS = (1, 7, 8)
INTERVAL_S = ServiceSettings.model_fields["load_balancing_interval_s"].default
EXPIRY_S = ServiceSettings.model_fields["ownership_expiry_s"].default
FINISHING_S = 1.0


class Account:
    """Blobs, and the SDK's store in them, at one moment after another."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.claims = self.listings = 0
        self._blobs: dict[str, BlobItem] = {}
        self._versions = itertools.count()

    def owners(self) -> Counter[str]:
        return Counter(consumer for consumer, _ in self.signed() if consumer)

    def by_partition(self) -> dict[str, str]:
        return {
            name.split("/")[-1]: owner_in(item.metadata)[0]
            for name, item in self._blobs.items()
            if "/ownership/" in name
        }

    def of(self, consumer: str) -> set[str]:
        return {id_ for id_, owner in self.by_partition().items() if owner == consumer}

    def signed(self) -> list[tuple[str, str]]:
        return [owner_in(item.metadata) for item in self._blobs.values()]

    async def items(self, _container: str, prefix: str) -> AsyncIterator[BlobItem]:
        self.listings += 1
        for name in sorted(self._blobs):
            if name.startswith(prefix):
                yield self._blobs[name]

    async def replace(self, _container: str, name: str, _data: bytes) -> None:
        self._write(name, {})

    async def delete(self, _container: str, name: str) -> None:
        self._blobs.pop(name, None)

    async def claim_ownership(self, wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        claimed = []
        for one in wanted:
            name = f"ns/hub/group/ownership/{one['partition_id']}"
            there = self._blobs.get(name)
            if (f'"{there.etag}"' if there else None) == one.get("etag"):
                self.claims += 1
                item = self._write(name, {"ownerid": one["owner_id"]})
                written = {"etag": f'"{item.etag}"', "last_modified_time": self.now}
                claimed.append({**one, **written})
        return claimed

    def _write(self, name: str, metadata: dict[str, str]) -> BlobItem:
        etag = str(next(self._versions))
        self._blobs[name] = BlobItem(name, 0, etag, self.now, self.now, metadata)
        return self._blobs[name]


class Pool:
    """Consumers that look at each other's partitions, each at its own times."""

    def __init__(self, account: Account, lot: random.Random) -> None:
        self._account = account
        self._lot = lot
        self._agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self._order = itertools.count()
        self._size = 0
        self._dead: set[str] = set()
        self._born = itertools.count(1)

    def join(self, count: int, *, giving: bool = True) -> None:
        for _ in range(count):
            self._size += 1
            owned: set[str] = set()
            blobs = cast("Any", self._account)
            begin_handover = functools.partial(self._begin_handover, owned) if giving else None
            store = SharedOwnership(blobs, blobs, blobs, "container", EXPIRY_S, begin_handover)
            client = SimpleNamespace(
                _address=SimpleNamespace(hostname="ns"),
                eventhub_name="hub",
                get_partition_ids=self._partitions,
            )
            manager = OwnershipManager(
                *(cast("Any", client), "group", f"consumer-{next(self._born)}", store, EXPIRY_S),
                LoadBalancingStrategy.GREEDY,
                None,
            )
            self._later(self._lot.random(), functools.partial(self._look, manager, owned))

    async def run(self, seconds: float) -> None:
        """Let time pass."""
        until_s = self._account.now + seconds
        while self._agenda and self._agenda[0][0] < until_s:
            self._account.now, _, act = heapq.heappop(self._agenda)
            await act()
        self._account.now = until_s

    def die(self, consumer: str | None = None) -> None:
        """Let one, or everybody there is, look at nothing any more."""
        if consumer is None:
            self._agenda.clear()
            self._size = 0
        else:
            self._dead.add(consumer)
            self._size -= 1

    async def until_shared(self) -> float:
        """Return after how many seconds all own as many."""
        began = self._account.now
        wanted = [PARTITIONS // self._size] * self._size
        while sorted(self._account.owners().values()) != wanted:
            self._account.now, _, act = heapq.heappop(self._agenda)
            await act()
        return self._account.now - began

    async def _look(self, manager: OwnershipManager, owned: set[str]) -> None:
        if manager.owner_id in self._dead:
            return
        claimed = await manager.claim_ownership()
        owned.clear()
        owned.update(claimed)
        pause_s = INTERVAL_S * (1 + 0.2 * self._lot.random())
        self._later(pause_s, functools.partial(self._look, manager, owned))

    def _begin_handover(self, owned: set[str], count: int, release: Release) -> set[str]:
        chosen = set(sorted(owned)[:count])
        for partition in chosen:
            delay_s = FINISHING_S * self._lot.random()
            self._later(delay_s, functools.partial(release, partition))
        return chosen

    def _later(self, delay_s: float, act: Callable[[], Any]) -> None:
        heapq.heappush(self._agenda, (self._account.now + delay_s, next(self._order), act))

    @staticmethod
    async def _partitions() -> list[str]:
        return [str(number) for number in range(PARTITIONS)]


def simulated(seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Account, Pool]:
    account = Account()
    clock = SimpleNamespace(time=lambda: account.now, monotonic=lambda: account.now)
    monkeypatch.setattr(sharing, "time", clock)
    monkeypatch.setattr("azure.eventhub.aio._eventprocessor._ownership_manager.time", clock)
    monkeypatch.setattr(
        "azure.eventhub.aio._eventprocessor._ownership_manager.random", random.Random(seed)
    )
    return account, Pool(account, random.Random(seed))


async def growing(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    _, pool = simulated(seed, monkeypatch)
    took_s = []
    for newcomers in STEPS:
        # Who has found nothing to share for a while looks seldom.
        await pool.run(EXPIRY_S * (1 + random.Random(seed).random()))
        pool.join(newcomers)
        took_s.append(await pool.until_shared())
    return took_s


@pytest.mark.parametrize("seed", range(8))
def test_a_pool_that_grows_to_8_and_to_16_shares_its_hub_within_10_seconds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_s, eight_s, sixteen_s = asyncio.run(growing(seed, monkeypatch))
    assert alone_s < 2
    assert eight_s < 10
    assert sixteen_s < 10


@pytest.mark.parametrize("giving", [True, False])
def test_an_owner_renews_three_times_per_expiry_and_is_replaced_if_it_does_not(
    monkeypatch: pytest.MonkeyPatch, *, giving: bool
) -> None:
    account, pool = simulated(1, monkeypatch)
    lives = 10

    async def live_and_die() -> tuple[int, int, float]:
        pool.join(1, giving=giving)
        await pool.until_shared()
        claims, listings = account.claims, account.listings
        await pool.run(lives * EXPIRY_S)
        renewals, looks = account.claims - claims, account.listings - listings
        pool.die()
        account.now += EXPIRY_S + 1
        began_s = account.now
        pool.join(1, giving=giving)
        while account.owners() != {"consumer-2": PARTITIONS}:
            await pool.run(0.1)
        return renewals, looks, account.now - began_s

    renewals, looks, took_s = asyncio.run(live_and_die())
    # One partition stands for all.
    assert 2 * lives < renewals <= 3 * lives
    assert renewals + looks <= 0.25 * lives * EXPIRY_S
    assert took_s <= 2 * INTERVAL_S


@pytest.mark.parametrize("giving", [True, False])
def test_those_who_live_keep_what_they_have_and_share_what_the_dead_had(
    monkeypatch: pytest.MonkeyPatch, *, giving: bool
) -> None:
    account, pool = simulated(1, monkeypatch)

    async def outlive() -> tuple[set[str], float]:
        pool.join(4, giving=giving)
        await pool.until_shared()
        await pool.run(3 * EXPIRY_S)
        before = {name: account.of(name) for name in ("consumer-1", "consumer-2")}
        pool.die("consumer-3")
        pool.die("consumer-4")
        died_s = account.now
        await pool.until_shared()
        kept = {name for name, ids in before.items() if ids <= account.of(name)}
        return kept, account.now - died_s

    kept, took_s = asyncio.run(outlive())
    assert kept == {"consumer-1", "consumer-2"}
    assert took_s <= EXPIRY_S + 3 * INTERVAL_S


def test_while_a_new_version_replaces_an_old_one_both_share_and_say_which_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account, pool = simulated(1, monkeypatch)

    async def roll_out() -> set[tuple[str, str]]:
        for release in ("1.0", "1.1 (hot fix)"):
            monkeypatch.setattr(sharing, "version", lambda said=release: said)
            pool.join(1)
            await pool.until_shared()
        return set(account.signed())

    owners = asyncio.run(roll_out())
    assert owners == {("consumer-1", "1.0"), ("consumer-2", "1.1--hot-fix-")}
