"""Plots the results of simulations; needs matplotlib, which is in .venv-deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from deploy.scaling.simulation import Outcome
from deploy.scaling.workload import DAY_S

_WIDTH_IN, _ROW_IN, _DPI = 8.0, 1.9, 80
_HOURS: Final = range(0, 25, 3)

mpl.use("Agg")


def draw_days(outcomes: dict[int, Outcome], path: Path) -> None:
    """Draw for each load the paid nodes, working stylizers and lag of the first day."""
    figure, rows = plt.subplots(
        len(outcomes), figsize=(_WIDTH_IN, _ROW_IN * len(outcomes)), sharex=True
    )
    for axes, (videos, outcome) in zip(rows, outcomes.items(), strict=True):
        _draw_day(axes, videos, outcome)
    rows[-1].set_xlabel("hour of the day")
    rows[-1].set_xticks(_HOURS)
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)


def _draw_day(axes: Axes, videos: int, outcome: Outcome) -> None:
    day = [sample for sample in outcome.samples if sample.time_s <= DAY_S]
    hours = [sample.time_s / 3600 for sample in day]
    axes.fill_between(
        hours, [s.nodes for s in day], step="post", color="#c8d6e5", label="nodes paid for"
    )
    axes.step(
        hours, [s.working for s in day], where="post", color="#2e5f8a", label="stylizers at work"
    )
    axes.set_ylabel("GPUs")
    axes.set_title(_load(videos), loc="left", fontsize=10)
    axes.set_ylim(0, max(2, *(s.nodes for s in day)) * 1.1)
    lag = axes.twinx()
    lag.plot(hours, [s.lag for s in day], color="#d1495b", linewidth=0.8, label="lag")
    lag.set_ylabel("chunks waiting", color="#d1495b")
    lag.set_ylim(0, None)
    axes.legend(loc="upper left", fontsize=8, frameon=False)


def draw_latencies(outcomes: dict[int, Outcome], path: Path) -> None:
    """Draw for each load the share of videos that are done within a time."""
    figure, axes = plt.subplots(figsize=(_WIDTH_IN, 2 * _ROW_IN))
    for videos, outcome in outcomes.items():
        count = len(outcome.latencies_s)
        shares = [(index + 1) / count for index in range(count)]
        axes.step(outcome.latencies_s, shares, where="post", label=_load(videos))
    axes.set_xlabel("seconds from upload to result")
    axes.set_ylabel("share of videos")
    axes.set_xlim(0, None)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI)


def _load(videos: int) -> str:
    return f"{videos:,} {'video' if videos == 1 else 'videos'} a day"
