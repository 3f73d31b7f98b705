"""KEDA's arithmetic with its traps, the autoscaler, and a simulation that loses no chunk."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.scaling import hard_days, report
from deploy.scaling.agenda import Agenda
from deploy.scaling.assumptions import GPU_SPEEDS, Assumptions
from deploy.scaling.autoscaler import SYNC_S, Autoscaler, ScalingRule
from deploy.scaling.cluster import Cluster
from deploy.scaling.keda import LARGEST, Lag, Partition, lag_of, unprocessed
from deploy.scaling.pool import Chunk, Pool
from deploy.scaling.simulation import Simulation
from deploy.scaling.sizes import STANDARD_PARTITIONS, busiest_frames_s, size_of
from deploy.scaling.workload import uploads

RULE = ScalingRule(
    threshold=64,
    activation=0,
    least=0,
    most=8,
    polling_s=15,
    cooldown_s=300,
    down_window_s=300,
    down_pods=2,
    down_period_s=60,
)


@pytest.mark.parametrize(
    ("partition", "lag"),
    [
        (Partition(first=-1, last=-1, checkpoint=None), 0),
        (Partition(first=-1, last=-1, checkpoint=-1), 0),
        (Partition(first=0, last=0, checkpoint=None), 1),
        (Partition(first=0, last=6, checkpoint=None), 7),
        (Partition(first=3, last=6, checkpoint=None), 4),
        (Partition(first=0, last=6, checkpoint=-1), 7),
        (Partition(first=0, last=6, checkpoint=2), 4),
        (Partition(first=0, last=6, checkpoint=6), 0),
    ],
)
def test_lag_is_counted_from_the_checkpoint_or_from_the_first_event(
    partition: Partition, lag: int
) -> None:
    assert unprocessed(partition) == lag


def test_one_leftover_event_without_a_checkpoint_is_not_seen_and_with_a_prepared_one_is() -> None:
    assert unprocessed(Partition(first=41, last=41, checkpoint=None)) == 0
    assert unprocessed(Partition(first=41, last=41, checkpoint=40)) == 1


def test_a_checkpoint_of_an_earlier_hub_hides_all_lag_or_asks_for_everything() -> None:
    assert unprocessed(Partition(first=0, last=50, checkpoint=51)) == 0
    assert unprocessed(Partition(first=0, last=50, checkpoint=10_049)) == 0
    assert unprocessed(Partition(first=0, last=50, checkpoint=10_060)) > 2**62


@given(
    first=st.integers(0, 10**6),
    events=st.integers(1, 10**6),
    read=st.floats(0, 1),
)
def test_with_a_checkpoint_in_range_the_lag_is_what_is_unread(
    first: int, events: int, read: float
) -> None:
    done = round(events * read)
    partition = Partition(first, first + events - 1, first + done - 1)
    assert unprocessed(partition) == events - done


def test_the_metric_is_capped_where_further_pods_would_find_no_partition() -> None:
    assert Lag(10_000, 4).metric(64) == 4 * 64
    # The cap divides whole numbers, so almost one threshold more slips through
    assert Lag(4 * 64 + 63, 4).metric(64) == 4 * 64 + 63
    assert Lag(4 * 64 + 64, 4).metric(64) == 4 * 64


def test_sums_that_overflow_are_taken_for_the_largest() -> None:
    far = Partition(first=0, last=0, checkpoint=20_000)
    assert lag_of([far, far]) == Lag(LARGEST, 2)


def test_a_pool_is_at_zero_until_there_is_lag_and_again_after_the_cooldown() -> None:
    pool = Autoscaler(RULE)
    assert pool.look(0, Lag(0, 32), 0) == 0
    assert pool.look(15, Lag(1, 32), 0) == 1
    assert pool.look(30, Lag(0, 32), 1) == 1
    assert pool.look(300, Lag(0, 32), 1) == 1
    assert pool.look(315, Lag(0, 32), 1) == 0


def test_activation_keeps_a_small_lag_from_starting_the_pool() -> None:
    pool = Autoscaler(
        ScalingRule(**{f: getattr(RULE, f) for f in RULE.__slots__} | {"activation": 5})
    )
    assert pool.look(0, Lag(5, 32), 0) == 0
    assert pool.look(15, Lag(6, 32), 0) == 1


def test_a_pool_grows_with_the_lag_as_fast_as_kubernetes_lets_it_and_not_beyond_its_most() -> None:
    pool, replicas, seen = Autoscaler(RULE), 0, []
    for look in range(4):
        replicas = pool.look(look * SYNC_S, Lag(5_000, 32), replicas)
        seen.append(replicas)
    # From the one that KEDA gives, four more at once, then twice as many
    assert seen == [5, 8, 8, 8]


def test_small_changes_are_ignored() -> None:
    pool = Autoscaler(RULE)
    assert pool.look(0, Lag(64 * 4 + 20, 32), 4) == 4
    assert pool.look(15, Lag(64 * 4 + 30, 32), 4) == 5


def test_a_pool_shrinks_only_when_the_lag_stayed_low_and_then_step_by_step() -> None:
    pool, replicas, seen = Autoscaler(RULE), 8, {}
    assert pool.look(0, Lag(512, 32), replicas) == 8
    for look in range(1, 34):
        now_s = look * SYNC_S
        replicas = pool.look(now_s, Lag(10, 32), replicas)
        seen.setdefault(replicas, now_s)
    assert list(seen) == [8, 6, 4, 2, 1]
    assert seen[6] == RULE.down_window_s + SYNC_S
    assert seen[4] - seen[6] == seen[2] - seen[4] == RULE.down_period_s


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"evictions_an_hour": 20.0},
        {"outstanding": 3},
        {"splits": 1, "gpu_speed": 30.0},
        {"node_cold_s": (1.0, 900.0), "evictions_an_hour": 5.0},
        {"no_capacity_s": (40_000.0, 47_200.0)},
    ],
)
def test_every_chunk_is_painted_once_and_every_video_ends(changes: dict[str, object]) -> None:
    assumptions = Assumptions(videos_a_day=200, quiet=0.0, **changes)  # type: ignore[arg-type]
    painted: Counter[tuple[int, int]] = Counter()

    outcome = Simulation(
        assumptions, RULE, lambda chunk: painted.update([(chunk.video, chunk.index)])
    ).run()

    videos = uploads(assumptions)
    assert painted == Counter(
        (number, chunk) for number, video in enumerate(videos) for chunk in range(video.chunks)
    )
    assert len(outcome.latencies_s) == len(videos)
    assert outcome.latencies_s[0] > 0
    assert outcome.samples[-1].lag == outcome.samples[-1].wanted == 0


def test_the_same_seed_gives_the_same_days_and_another_seed_others() -> None:
    once, again, other = (
        Simulation(Assumptions(videos_a_day=50, seed=seed), RULE).run() for seed in (1, 1, 2)
    )
    assert once == again
    assert once.latencies_s != other.latencies_s


def test_nodes_are_paid_from_request_to_deletion() -> None:
    assumptions = Assumptions(
        videos_a_day=1,
        node_cold_s=(300.0, 300.0),
        image_pull_s=(100.0, 100.0),
        node_idle_s=300.0,
        evictions_an_hour=0.0,
    )
    agenda = Agenda()
    pool = Pool(agenda, assumptions, lambda _: None)
    cluster = Cluster(agenda, assumptions, pool)

    agenda.after(0, lambda: cluster.resize(1))
    agenda.after(1000, lambda: cluster.resize(0))
    agenda.run()

    assert (cluster.paid_s, cluster.nodes, cluster.cold_starts) == (1300.0, 0, 1)


def test_a_node_that_is_still_there_is_used_again() -> None:
    assumptions = Assumptions(
        videos_a_day=1,
        node_cold_s=(400.0, 400.0),
        image_pull_s=(0.0, 0.0),
        evictions_an_hour=0.0,
    )
    agenda = Agenda()
    cluster = Cluster(agenda, assumptions, Pool(agenda, assumptions, lambda _: None))
    for at_s, replicas in ((0, 1), (1000, 0), (1200, 1), (2000, 0)):
        agenda.after(at_s, lambda replicas=replicas: cluster.resize(replicas))
    agenda.run()
    assert cluster.cold_starts == 1
    assert cluster.paid_s == 2000 + assumptions.node_idle_s


def test_without_available_nodes_nothing_is_painted_and_nothing_is_paid() -> None:
    gap = (43_200.0, 46_800.0)
    assumptions = Assumptions(videos_a_day=100, quiet=0.0, no_capacity_s=gap)

    outcome = Simulation(assumptions, RULE).run()

    within = [sample for sample in outcome.samples if gap[0] < sample.time_s < gap[1]]
    assert {(sample.working, sample.nodes) for sample in within} == {(0, 0)}
    assert any(sample.working for sample in outcome.samples if sample.time_s < gap[0])
    # What came at its beginning waited for its end.
    assert outcome.oldest_chunk_s > 3000


def test_a_namespace_is_full_when_its_hub_lacks_two_partitions_for_each_stylizer() -> None:
    quarter, whole = (size_of(Assumptions(videos)) for videos in (25_000, 100_000))

    assert 2 * quarter.stylizers <= STANDARD_PARTITIONS < 2 * whole.stylizers
    assert (quarter.standard, whole.standard, whole.premium) == (1, 4, 2)
    assert whole.splitters == pytest.approx(4 * quarter.splitters, abs=3)
    # Events are few: it is not throughput units that run out.
    assert whole.units == 1


def test_the_busiest_hour_is_computed_as_the_videos_are_drawn() -> None:
    assumptions = Assumptions(videos_a_day=20_000)
    videos = uploads(assumptions)

    afternoon = sum(v.frames for v in videos if 14 * 3600 <= v.arrives_s < 16 * 3600) / 7200

    assert busiest_frames_s(assumptions) == pytest.approx(afternoon, rel=0.1)


def test_partitions_of_a_vanished_stylizer_wait_and_its_chunk_is_painted_again() -> None:
    assumptions = Assumptions(videos_a_day=1, partitions=1, gpu_speed=32.0)
    agenda, painted = Agenda(), []
    pool = Pool(agenda, assumptions, lambda chunk: painted.append((agenda.now_s, chunk.index)))
    first = pool.join()
    agenda.after(10.5, lambda: pool.put(Chunk(0, 0, 32)))
    agenda.after(11.0, lambda: pool.vanish(first))
    agenda.after(11.0, pool.join)
    agenda.run()
    # Taken up at 10.5, lost at 11, taken over 40 s later, a second of work
    assert painted == [(52.0, 0)]
    assert pool.repeated == 1


def test_splitters_do_not_run_ahead_of_the_stylizers() -> None:
    paced, unpaced = (
        Simulation(Assumptions(videos_a_day=30, quiet=0.0, outstanding=chunks, splits=2), RULE)
        for chunks in (5, 10**6)
    )
    most_paced, most_unpaced = (
        max(sample.lag for sample in simulation.run().samples) for simulation in (paced, unpaced)
    )
    # A long video's chunks would all wait at once while the first node is cold
    assert most_paced < most_unpaced / 4


def test_the_document_has_the_current_assumptions_and_rule() -> None:
    document = report.DOCUMENT.read_text(encoding="utf-8")
    rule = report.gpu_rule()

    assert "\n".join(report.assumptions_table()) in document, "write docs/scaling.md anew"
    assert f"**{rule.threshold}**" in document
    assert rule.threshold in report.THRESHOLDS


def test_the_document_has_the_current_sizes() -> None:
    document = report.DOCUMENT.read_text(encoding="utf-8")
    assert "\n".join(hard_days.by_size()) in document, "run: python -m deploy.scaling.hard_days"


def test_the_speeds_are_within_the_range_that_the_cost_tables_assume() -> None:
    prices = json.loads(report.PRICES.read_text(encoding="utf-8"))
    assert [GPU_SPEEDS[0], GPU_SPEEDS[-1]] == prices["assumptions"]["t4_frames_per_second"]
