"""Simulates the days of docs/scaling.md and writes its tables and plots::

    .venv-deploy/bin/python -m deploy.scaling.report

Takes some minutes. The scaling rule is the one of deploy/kubernetes/overlays/gpu.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.scaling.assumptions import GPU_SPEEDS, Assumptions
from deploy.scaling.autoscaler import ScalingRule
from deploy.scaling.simulation import Outcome, Simulation
from deploy.sections import with_section

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs/scaling.md"
KUBERNETES: Final = ROOT / "deploy/kubernetes"
PRICES: Final = ROOT / "deploy/azure/prices.json"

# With few videos, meaningful percentiles need many days.
DAYS: Final = {1: 60, 100: 5, 10_000: 1}
THRESHOLDS: Final = (64, 128, 256, 512)


def main() -> None:
    """Write the document and its plots."""
    from deploy.scaling import plots

    rule, outcomes = gpu_rule(), {}
    for videos_a_day in DAYS:
        for speed in GPU_SPEEDS:
            outcomes[videos_a_day, speed] = run(rule, videos_a_day, gpu_speed=speed)
    usual = {videos: outcomes[videos, GPU_SPEEDS[1]] for videos in DAYS}
    text = "\n".join(
        [
            "### By load and speed of the GPU\n",
            *by_load_and_speed(outcomes),
            "![Stylizers over a day](images/scaling-day.png)\n",
            "![Latency](images/scaling-latency.png)\n",
            "### By threshold (`unprocessedEventThreshold`)\n",
            *by_threshold(rule, usual),
            "### One GPU that is always on\n",
            *by_warmth(rule, usual),
            "### Assumptions\n",
            *assumptions_table(),
        ]
    )
    document = with_section(DOCUMENT.read_text(encoding="utf-8"), "simulated", text)
    DOCUMENT.write_text(document, encoding="utf-8")
    plots.draw_days(usual, ROOT / "docs/images/scaling-day.png")
    plots.draw_latencies(usual, ROOT / "docs/images/scaling-latency.png")


def gpu_rule() -> ScalingRule:
    """Return the stylizers' rule as kustomize builds it for the overlay gpu."""
    scaled_objects = yaml.safe_load_all(
        (KUBERNETES / "azure/scaled-objects.yaml").read_text(encoding="utf-8")
    )
    (scaled,) = (item for item in scaled_objects if item["metadata"]["name"] == "stylizer")
    overlay = yaml.safe_load(
        (KUBERNETES / "overlays/gpu/kustomization.yaml").read_text(encoding="utf-8")
    )
    for patch in overlay["patches"]:
        if patch.get("target") == {"kind": "ScaledObject", "name": "stylizer"}:
            for operation in yaml.safe_load(patch["patch"]):
                _replace(scaled, operation["path"], operation["value"])
    return ScalingRule.of(scaled)


def _replace(manifest: Any, path: str, value: Any) -> None:
    *steps, last = path.strip("/").split("/")
    for step in steps:
        manifest = manifest[int(step)] if isinstance(manifest, list) else manifest[step]
    manifest[last] = value


def run(rule: ScalingRule, videos_a_day: int, **changes: Any) -> Outcome:
    """Simulate a load for its number of days."""
    assumptions = Assumptions(videos_a_day, DAYS[videos_a_day])
    print(f"{videos_a_day} videos a day, threshold {rule.threshold}, {changes}", flush=True)
    return Simulation(dataclasses.replace(assumptions, **changes), rule).run()


def by_load_and_speed(outcomes: dict[tuple[int, float], Outcome]) -> list[str]:
    """Return the main table."""
    spot, on_demand = (price_of(f"t4_{kind}") for kind in ("spot", "on_demand"))
    rows = [
        [
            f"{videos:,}",
            f"{speed:g}",
            *latencies(outcome),
            str(max(sample.working for sample in outcome.samples)),
            f"{hours:.2f}",
            f"{1000 * hours / videos:.1f}",
            f"{hours * spot:.2f}",
            f"{hours * on_demand:.2f}",
            f"{outcome.cold_starts / DAYS[videos]:.1f}",
        ]
        for (videos, speed), outcome in outcomes.items()
        for hours in [outcome.node_hours / DAYS[videos]]
    ]
    return table(
        "videos a day | frames/s a GPU | p50 | p95 | p99 | most GPUs | node hours a day "
        "| node hours a 1,000 videos | $ a day, spot | $ a day, on demand | cold nodes a day",
        rows,
    )


def by_threshold(rule: ScalingRule, usual: dict[int, Outcome]) -> list[str]:
    """Return the results of other thresholds."""
    rows = []
    for videos in DAYS:
        for threshold in THRESHOLDS:
            same = threshold == rule.threshold
            other = dataclasses.replace(rule, threshold=threshold)
            outcome = usual[videos] if same else run(other, videos)
            hours = outcome.node_hours / DAYS[videos]
            mark = "**" if same else ""
            rows.append(
                [f"{videos:,}", f"{mark}{threshold}{mark}", *latencies(outcome), f"{hours:.2f}"]
            )
    return table("videos a day | threshold | p50 | p95 | p99 | node hours a day", rows)


def by_warmth(rule: ScalingRule, usual: dict[int, Outcome]) -> list[str]:
    """Return the results with one GPU that is always on."""
    rows = []
    for videos, asleep in usual.items():
        warm = run(dataclasses.replace(rule, least=1), videos)
        for least, outcome in ((0, asleep), (1, warm)):
            hours = outcome.node_hours / DAYS[videos]
            rows.append([f"{videos:,}", str(least), *latencies(outcome), f"{hours:.2f}"])
    return table("videos a day | minReplicaCount | p50 | p95 | p99 | node hours a day", rows)


def assumptions_table() -> list[str]:
    """Return the assumptions of a scenario."""
    usual = dataclasses.asdict(Assumptions(videos_a_day=0))
    for varied in ("videos_a_day", "days", "seed"):
        usual.pop(varied)
    return table("assumption | value", [[f"`{name}`", str(value)] for name, value in usual.items()])


def price_of(node: str) -> float:
    """Return the price of a node and hour, from the same list as the tables of costs."""
    return float(json.loads(PRICES.read_text(encoding="utf-8"))["prices"][node]["usd"])


def latencies(outcome: Outcome) -> list[str]:
    """Return the columns of percentiles, the same in all tables."""
    return [f"{outcome.latency_s(share):.0f} s" for share in (0.5, 0.95, 0.99)]


def table(heading: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table as lines of Markdown."""
    columns = heading.count("|") + 1
    return [
        f"| {heading} |",
        "|" + "---|" * columns,
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


if __name__ == "__main__":
    main()
