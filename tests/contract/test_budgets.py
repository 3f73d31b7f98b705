"""Budgets on real storage: a new day frees them, whichever splitters look."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob.aio import BlobServiceClient

from assembler.job import first_record
from shared.contracts.layout import status_blob
from shared.contracts.messages import SplitStarted
from shared.contracts.style_request import StyleRequest
from shared.storage.blobs import BlobStore
from shared.storage.statuses import mark_end
from splitter.budget import Budget, Ledger, Sharing
from splitter.intake.budgets import Budgets, ledger_blob

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Slow(BlobStore):
    """Storage that takes ten seconds for every blob that is read as a record, and counts them."""

    def __init__(self, account: BlobServiceClient, clock: Clock) -> None:
        super().__init__(account)
        self._clock = clock
        self.records = 0

    async def read(self, container: str, name: str) -> bytes | None:
        self.records += 1
        self._clock.now += timedelta(seconds=10)
        return await super().read(container, name)


@pytest.mark.parametrize(
    "budget",
    [Budget(videos=1), Budget(size=10), Budget(frames=8)],
    ids=["videos", "bytes", "frames"],
)
async def test_a_budget_that_is_used_up_is_free_again_on_the_next_day(
    storage_connection: str, budget: Budget
) -> None:
    clock, container = Clock(), f"b{uuid.uuid4().hex}"
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        one, other = (
            Budgets(budget, BlobStore(account), container, container, now=clock) for _ in range(2)
        )
        assert await one.admit("eve/1.mp4", 10, "first")
        await one.charge("eve/1.mp4", "first", 8)

        assert not await one.admit("eve/2.mp4", 10, "second")
        assert not await other.admit("eve/2.mp4", 10, "second"), "the ledger is in storage"
        assert await other.admit("eve/1.mp4", 10, "first"), "admitted once is admitted"
        assert await one.admit("bob/1.mp4", 10, "third")

        clock.now += timedelta(minutes=2)
        assert await other.admit("eve/2.mp4", 10, "second")
        assert not other._over, "nothing is remembered of uploaders that are within their budget"


async def test_verdicts_are_kept_for_seconds_however_many_uploaders_there_are(
    storage_connection: str,
) -> None:
    clock, container, uploaders = Clock(), f"b{uuid.uuid4().hex}", 40
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        budgets = Budgets(
            Budget(videos=1), BlobStore(account), container, container, sharing="name", now=clock
        )
        for number in range(uploaders):
            assert await budgets.admit(f"{number}.mp4", 1, "first")
            assert not await budgets.admit(f"{number}.mp4", 1, "second")
            clock.now += timedelta(seconds=1)
        assert len(budgets._over) < uploaders / 4


@pytest.mark.parametrize(
    ("budget", "looks"),
    [(Budget(videos=3), 0), (Budget(videos=3, open_jobs=9), 0), (Budget(open_jobs=3), 3)],
    ids=["videos", "videos before open jobs", "open jobs"],
)
async def test_one_verdict_for_many_videos_asks_only_for_ends_that_count(
    storage_connection: str, budget: Budget, looks: int
) -> None:
    clock, container = Clock(), f"b{uuid.uuid4().hex}"
    clock.now -= timedelta(hours=1)
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        blobs = Slow(account, clock)
        budgets = Budgets(budget, blobs, container, container, now=clock)
        for number in range(3):
            assert await budgets.admit(f"eve/{number}.mp4", 1, f"job {number}")
        blobs.records = 0
        # However long it took to find out
        for number in range(3, 6):
            assert not await budgets.admit(f"eve/{number}.mp4", 1, f"job {number}")
        assert blobs.records == looks


async def test_a_clock_that_is_set_back_keeps_nobody_out(
    storage_connection: str,
) -> None:
    clock, container = Clock(), f"b{uuid.uuid4().hex}"
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        blobs = BlobStore(account)
        budgets = Budgets(Budget(open_jobs=1), blobs, container, container, now=clock)
        assert await budgets.admit("eve/1.mp4", 10, "first")
        assert not await budgets.admit("eve/2.mp4", 10, "second")
        # An hour too far ahead until now; meanwhile the first job ends
        clock.now -= timedelta(hours=1)
        started = SplitStarted(
            job_id="first",
            video_name="eve/1.mp4",
            video_url="u",
            etag="e",
            style=StyleRequest(style="udnie"),
        )
        record = first_record(started).model_copy(update={"state": "cancelled"})
        await blobs.create(container, status_blob("first"), record.to_json())
        assert await budgets.admit("eve/2.mp4", 10, "second")


async def test_a_job_that_has_ended_and_was_deleted_counts_as_open_no_longer(
    storage_connection: str,
) -> None:
    container = f"b{uuid.uuid4().hex}"
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        blobs, clock = BlobStore(account), Clock()
        budgets = Budgets(Budget(open_jobs=1), blobs, container, container, now=clock)
        assert await budgets.admit("eve/1.mp4", 10, "first")
        assert not await budgets.admit("eve/2.mp4", 10, "second"), "its record may come yet"
        clock.now += timedelta(seconds=20)
        await mark_end(blobs, container, "first")
        assert await budgets.admit("eve/2.mp4", 10, "second")


@pytest.mark.parametrize(("sharing", "admitted"), [("folder", 2), ("name", 3), ("account", 1)])
async def test_a_deployment_says_who_shares_a_budget(
    storage_connection: str, sharing: Sharing, admitted: int
) -> None:
    container = f"b{uuid.uuid4().hex}"
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        budgets = Budgets(
            Budget(videos=1), BlobStore(account), container, container, sharing=sharing
        )
        # Links of one folder: each is for one name, whose versions come one after the other.
        uploads = [("eve/1.mp4", "a"), ("eve/1.mp4", "b"), ("eve/2.mp4", "c"), ("bob/1.mp4", "d")]
        said = [await budgets.admit(name, 1, job) for name, job in uploads]
    assert said.count(True) == admitted


async def test_a_ledger_does_not_grow_forever(storage_connection: str) -> None:
    clock, container, days = Clock(), f"b{uuid.uuid4().hex}", 30
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        blobs = BlobStore(account)
        budgets = Budgets(Budget(videos=2), blobs, container, container, now=clock)
        for number in range(days):
            assert await budgets.admit("eve/1.mp4", 10, f"job {number}")
            # It is still admitted if it is taken up again while its event is in the hub
            assert await budgets.admit("eve/1.mp4", 10, f"job {max(0, number - 7)}")
            clock.now += timedelta(days=1)
        stored = await blobs.read(container, ledger_blob("eve/1.mp4"))
    assert len(Ledger.model_validate_json(stored).jobs) < days / 3


async def test_a_ledger_that_was_damaged_keeps_nobody_out(storage_connection: str) -> None:
    container, blob = f"b{uuid.uuid4().hex}", ledger_blob("eve/1.mp4", "folder")
    async with BlobServiceClient.from_connection_string(storage_connection) as account:
        await account.create_container(container)
        blobs = BlobStore(account)
        budgets = Budgets(Budget(videos=1), blobs, container, container)
        await blobs.create(container, blob, b'{"jobs": [')
        assert await budgets.admit("eve/1.mp4", 10, "first")
        # It is one again, and counts
        assert not await budgets.admit("eve/2.mp4", 10, "second")
