"""Budgets in ledgers: what uses them up, what frees them, and what is admitted only once."""

from __future__ import annotations

import pytest

from local.children import unlimited
from splitter.budget import Budget, Entry, Ledger, uploader_of
from splitter.intake.budgets import ledger_blob
from splitter.settings import SplitterSettings

TODAY, BEFORE = "2026-01-02", "2026-01-01"


def ledger(*entries: Entry) -> Ledger:
    return Ledger(jobs={f"{number:024x}": entry for number, entry in enumerate(entries)})


@pytest.mark.parametrize(
    ("budget", "part"),
    [
        (Budget(), None),
        (Budget(open_jobs=2), "open_jobs"),
        (Budget(open_jobs=3), None),
        (Budget(videos=2), "videos"),
        (Budget(videos=3), None),
        (Budget(size=30), "bytes"),
        (Budget(size=31), None),
        (Budget(frames=5), "frames"),
        (Budget(frames=6), None),
    ],
)
def test_what_is_used_up_stops_the_next_video(budget: Budget, part: str | None) -> None:
    spent = ledger(
        Entry(day=BEFORE, size=1000, frames=1000),
        Entry(day=TODAY, size=10, frames=5, ended=True),
        Entry(day=TODAY, size=20),
    )
    assert spent.excess(budget, TODAY) == part


def test_a_day_that_begins_frees_what_is_counted_by_the_day() -> None:
    spent = ledger(Entry(day=BEFORE, size=100, frames=100, ended=True))
    assert spent.excess(Budget(1, 1, 1, 1), TODAY) is None
    assert spent.put("new", Entry(day=TODAY, size=1), TODAY).jobs.keys() == {"new"}


def test_jobs_that_end_free_what_is_counted_at_once_and_nothing_of_the_day() -> None:
    spent = ledger(Entry(day=TODAY, size=1))
    ended = spent.end({*spent.jobs})
    assert ended.excess(Budget(open_jobs=1), TODAY) is None
    assert ended.excess(Budget(videos=1), TODAY) == "videos"


def test_a_video_larger_than_the_whole_budget_is_admitted_once_a_day() -> None:
    assert Ledger(jobs={}).excess(Budget(size=1), TODAY) is None


def test_an_uploader_is_a_first_folder() -> None:
    assert ledger_blob("eve/a/1.mp4") == ledger_blob("eve/2.mp4")
    assert len({ledger_blob("eve/1.mp4"), ledger_blob("bob/1.mp4"), ledger_blob("1.mp4")}) == 3


def test_who_has_a_budget_is_a_folder_a_name_or_the_whole_account() -> None:
    names = ("eve/1.mp4", "eve/2.mp4", "bob/1.mp4", "1.mp4")
    shares = {
        sharing: len({uploader_of(name, sharing) for name in names})
        for sharing in ("folder", "name", "account")
    }
    assert shares == {"folder": 3, "name": 4, "account": 1}
    assert len({ledger_blob(name, "account") for name in names}) == 1


def settings(**given: object) -> SplitterSettings:
    return SplitterSettings(
        eventhub_connection_string="given", storage_connection_string="given", **given
    )


def test_an_uploader_has_a_budget_unless_the_deployment_says_that_they_have_none() -> None:
    budget = settings().budget
    assert None not in (budget.open_jobs, budget.videos, budget.size, budget.frames)
    parts = ("open_jobs", "daily_videos", "daily_bytes", "daily_frames")
    assert settings(**{f"budget_{part}": 0 for part in parts}).budget.unlimited


def test_on_ones_own_machine_nothing_waits_for_budget() -> None:
    assert settings(**{name.lower(): int(n) for name, n in unlimited().items()}).budget.unlimited
