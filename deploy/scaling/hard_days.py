"""Simulates the hard days of docs/scaling.md and writes their tables::

    .venv/bin/python -m deploy.scaling.hard_days

Takes some minutes: evictions, no capacity, and 100,000 videos a day over several namespaces. Ten
chunks are simulated as one, with thresholds to match.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, Final

from deploy.scaling.assumptions import Assumptions
from deploy.scaling.autoscaler import ScalingRule
from deploy.scaling.report import DOCUMENT, ROOT, gpu_rule, latencies, table
from deploy.scaling.simulation import Outcome, Simulation
from deploy.scaling.sizes import (
    SPLITTER_CORES,
    SPLITTER_SPLITS,
    STANDARD_PARTITIONS,
    size_of,
)
from deploy.scaling.workload import DAY_S
from deploy.sections import with_section

LOADS: Final = (100, 1_000, 10_000, 50_000, 100_000, 1_000_000)
EVICTIONS: Final = (0.0, 0.05, 0.5, 2.0)
OUTAGES_H: Final = (1, 6, 24)
NAMESPACES: Final = (1, 2, 4)
MANY: Final = 100_000
USUAL: Final = 10_000
COARSE: Final = 10
"""Chunks that are simulated as one."""
_NOON_S: Final = DAY_S / 2


def main() -> None:
    """Write the section."""
    rule = gpu_rule()
    text = "\n".join(
        [
            "#### What to set at which size\n",
            *by_size(),
            f"#### Evictions of spot nodes ({USUAL:,} videos a day)\n",
            *by_evictions(rule),
            f"#### No GPU to be had, from noon on ({USUAL:,} videos a day)\n",
            *by_outage(rule),
            f"#### {MANY:,} videos a day over several namespaces\n",
            *by_namespaces(rule),
        ]
    )
    document = with_section(DOCUMENT.read_text(encoding="utf-8"), "hard days", text)
    DOCUMENT.write_text(document, encoding="utf-8")


def by_size() -> list[str]:
    """Return what each load needs, without a simulation."""
    rows = []
    for videos in LOADS:
        size = size_of(Assumptions(videos))
        rows.append(
            [
                f"{videos:,}",
                f"{size.frames_s:,.0f}",
                f"{size.stylizers:,}",
                f"{size.splitters:,}",
                f"{size.assemblers:,}",
                f"{size.events_s:,.0f}",
                f"{size.standard} with {size.units} unit{'s' * (size.units > 1)}",
                str(size.premium),
            ]
        )
    return table(
        "videos a day | frames/s, busiest hour | stylizers | splitters | assemblers | events/s "
        "| namespaces, Standard | namespaces, Premium",
        rows,
    )


def by_evictions(rule: ScalingRule) -> list[str]:
    """Return latencies and costs at different rates of eviction."""
    rows = []
    for rate in EVICTIONS:
        outcome = run(rule, Assumptions(USUAL, evictions_an_hour=rate))
        rows.append(
            [
                f"{rate:g}",
                str(outcome.evictions),
                *latencies(outcome),
                f"{outcome.repeated_chunks * COARSE:,}",
                f"{outcome.node_hours:.1f}",
            ]
        )
    return table(
        "evictions a node and hour | evictions | p50 | p95 | p99 | chunks painted anew, at most "
        "| node hours",
        rows,
    )


def by_outage(rule: ScalingRule) -> list[str]:
    """Return how long the recovery from no capacity takes, and how much retention is left."""
    retention_s = {hub["name"]: hub["retentionHours"] * 3600 for hub in _hubs()}
    rows = []
    for hours in OUTAGES_H:
        gap = (_NOON_S, _NOON_S + hours * 3600)
        outcome = run(rule, Assumptions(USUAL, days=1 + -(-hours // 24), no_capacity_s=gap))
        left = [
            retention_s["frames"] - outcome.oldest_chunk_s,
            retention_s["uploads"] - outcome.oldest_upload_s,
        ]
        rows.append(
            [
                f"{hours} h",
                *latencies(outcome),
                _hours(recovery_s(outcome, gap[1])),
                _hours(outcome.oldest_upload_s),
                _hours(outcome.oldest_chunk_s),
                _hours(left[1]),
                _hours(left[0]),
            ]
        )
    return table(
        "for | p50 | p95 | p99 | then until no upload waits | oldest upload | oldest chunk "
        "| retention left, uploads | frames",
        rows,
    )


def by_namespaces(rule: ScalingRule) -> list[str]:
    """Return how a large load does over several namespaces; one of the equal parts is simulated."""
    wide = dataclasses.replace(rule, most=STANDARD_PARTITIONS)
    rows = []
    for namespaces in NAMESPACES:
        part = Assumptions(MANY // namespaces)
        splitters = min(size_of(part).splitters, STANDARD_PARTITIONS)
        outcome = run(
            wide,
            dataclasses.replace(
                part, splits=splitters * SPLITTER_SPLITS, split_cores=splitters * SPLITTER_CORES
            ),
        )
        rows.append(
            [
                str(namespaces),
                str(splitters),
                str(max(sample.working for sample in outcome.samples)),
                *latencies(outcome),
                _hours(outcome.oldest_upload_s),
                f"{outcome.node_hours * namespaces:,.0f}",
            ]
        )
    return table(
        "namespaces | splitters in each | most GPUs in each | p50 | p95 | p99 | oldest upload "
        "| node hours, all",
        rows,
    )


def run(rule: ScalingRule, assumptions: Assumptions) -> Outcome:
    """Simulate one scenario, and print which, because it takes a while."""
    print(f"{assumptions.videos_a_day:,} videos a day, {assumptions.days} days", flush=True)
    coarse = dataclasses.replace(
        assumptions,
        chunk_frames=assumptions.chunk_frames * COARSE,
        outstanding=math.ceil(assumptions.outstanding / COARSE),
    )
    threshold = math.ceil(rule.threshold / COARSE)
    return Simulation(coarse, dataclasses.replace(rule, threshold=threshold)).run()


def recovery_s(outcome: Outcome, over_s: float) -> float:
    """Return how long after ``over_s`` no upload waits for a splitter any longer."""
    return next(
        sample.time_s - over_s
        for sample in outcome.samples
        if sample.time_s >= over_s and not sample.uploads
    )


def _hubs() -> list[dict[str, Any]]:
    layout = (ROOT / "deploy/azure/layout.json").read_text(encoding="utf-8")
    hubs: list[dict[str, Any]] = json.loads(layout)["hubs"]
    return hubs


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - an hour


if __name__ == "__main__":
    main()
