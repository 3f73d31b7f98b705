"""Plans: the same seed injects the same faults at the same steps; and the figures of a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from histories import JOB, also, call, checkpoint, good, segment
from hypothesis import example, given
from hypothesis import strategies as st

from chaos.arena import Arena
from chaos.campaign import Findings
from chaos.faults import Committed, Saboteur
from chaos.figures import Figures, percentile
from chaos.plan import KINDS, Fault, deal, plan_faults
from chaos.promises import Violation
from chaos.report import page
from chaos.storage_proxy import StorageProxy
from local.stack import Stack, StackOptions


@given(seed=st.integers(0, 2**32), steps=st.integers(2, 100))
def test_a_plan_follows_from_its_seed(seed: int, steps: int) -> None:
    kinds = deal(seed)
    plan = plan_faults(seed, steps, kinds)
    assert plan == plan_faults(seed, steps, deal(seed))
    assert Counter(fault.kind for fault in plan) == Counter(kinds)
    assert all(1 <= fault.step < steps for fault in plan)
    assert [fault.step for fault in plan] == sorted(fault.step for fault in plan)


@example(166_921)
@given(st.integers(0, 2**32))
def test_runs_in_a_row_commit_every_kind_equally_often(first: int) -> None:
    times = Counter(kind for seed in range(first, first + 60) for kind in deal(seed))
    assert set(times) == set(KINDS)
    # The cards are those of up to six decks, of which the first and the last lack some. A kind that
    # ends one deck and begins the next comes up once in the run that gets both: at worst, two of
    # the four whole decks count for nothing.
    assert max(times.values()) - min(times.values()) <= 4


@given(st.integers(0, 2**32))
def test_no_run_commits_a_fault_twice(seed: int) -> None:
    assert len(set(deal(seed))) == len(deal(seed))


def test_other_seeds_break_other_things() -> None:
    assert len({plan_faults(seed, 40, deal(seed)) for seed in range(50)}) == 50


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_percentiles_are_values_that_were_seen(values: list[float]) -> None:
    p50, p99 = percentile(values, 0.5), percentile(values, 0.99)
    assert {p50, p99} <= set(values)
    assert sum(value <= p50 for value in values) >= len(values) / 2
    assert p50 <= p99 <= max(values)


def read(index: int, at: float):
    return call("read", "frames", f"{JOB}/{index:08d}.mp4", at, status=206)


def test_figures_tell_recovery_and_what_was_done_twice() -> None:
    killed = Committed("kill stylizer", 4.5, ("stylizer-1",), ("0",))
    history = also(good(), read(0, 3.8), read(1, 4.2), read(1, 4.8), segment(1, 5.3, status=409))
    figures = Figures.of(history, [killed])
    assert (figures.jobs, figures.chunks, figures.beginnings) == (1, 2, 3)
    assert (figures.begun_again, figures.painted_again) == (1, 1)
    assert figures.taken_up_s == pytest.approx((0.3,))
    assert figures.finished_s == pytest.approx((0.6,))
    assert (figures + figures).chunks == 4


def test_a_checkpoint_over_a_later_one_is_counted() -> None:
    assert Figures.of(good(), []).checkpoints_back == 0
    assert Figures.of(also(good(), checkpoint("frames", 0, 5.6)), []).checkpoints_back == 1


def test_a_kill_that_orphans_no_waiting_work_has_no_recovery_time() -> None:
    idle = Committed("kill stylizer", 5.6, ("stylizer-1",), ("0",))
    assert Figures.of(also(good(), read(0, 3.8)), [idle]).taken_up_s == ()


def test_the_page_lists_every_fault_and_every_violation() -> None:
    findings = Findings(
        seed=7, runs=3, faults=Counter({"kill splitter": 2}), figures=Figures(chunks=10, jobs=2)
    )
    violation = Violation("I5", "frames/2", "the checkpoint is at 1")
    bad = page(replace(findings, violations=[(8, violation)]))
    assert "| kill splitter | 2 |" in bad
    assert "- seed 8: I5 frames/2: the checkpoint is at 1" in bad
    assert "| stacks that could not be judged | 1 |" in page(replace(findings, unjudged=[9]))
    good_page = page(findings)
    assert "Seen:" not in good_page
    assert "| violations | 0 |" in good_page


@pytest.mark.parametrize("kind", ["kill stylizer", "freeze stylizer", "starve stylizer"])
async def test_a_fault_without_a_victim_is_skipped_when_the_pool_was_taken_away(
    tmp_path, kind
) -> None:
    arena = Arena(tmp_path, {})
    arena.stack = Stack(StackOptions(tmp_path / "stack"))
    fault = Fault(step=1, kind=kind, seconds=0, seed=1)
    assert (await Saboteur(arena).commit(fault)).processes == ()


@pytest.mark.parametrize(
    ("kinds", "first", "second"),
    [
        (("storage answers 401", "storage answers 503"), "401", "503"),
        (
            ("away for a while: the uploads hub", "away for a while: the frames hub"),
            *("uploads", "frames"),
        ),
    ],
)
async def test_faults_that_would_end_each_other_strike_one_after_the_other(
    tmp_path, monkeypatch, kinds, first, second
) -> None:
    arena, told = Arena(tmp_path, {}), []
    refusing = property(None, lambda _, status: told.append(status))
    monkeypatch.setattr(StorageProxy, "refusing", refusing, raising=False)
    monkeypatch.setattr(arena.broker_proxy, "turn_away", told.append)
    saboteur = Saboteur(arena)
    faults = [Fault(step=1, kind=kind, seconds=0.05, seed=1) for kind in kinds]
    await asyncio.gather(*map(saboteur.commit, faults))
    assert told == [first, None, second, None]
