"""Draws a dashboard's panels from their data in Grafana's layout, for the documentation.

It does not need Grafana, and draws the same data that Grafana's panels would get.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from deploy.monitoring.grafana import COLUMNS, Dashboard, Panel, places
from deploy.monitoring.prometheus import Series

_INCHES: Final = (14.0, 0.27)
_DPI: Final = 72
_PALETTE: Final = 64
_UNITS: Final = {"short": "", "percentunit": "share", "currencyUSD": "$", "watt": "W", "Bps": "B/s"}
_INK: Final = "#c8c9d0"
_COLOURS: Final = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff9830", "#f2495c", "#b877d9", "#5794f2")

mpl.use("agg")


def draw(
    dashboard: Dashboard,
    found: Mapping[tuple[str, str], list[list[Series]]],
    times_s: tuple[float, float],
    path: Path,
) -> None:
    """Draw all panels into one PNG file, for the time between ``times_s``."""
    start_s, end_s = times_s
    placed = list(places(dashboard.rows))
    rows = max(top + panel.height for _, panel, top, _ in placed)
    with mpl.rc_context(_STYLE):
        figure = plt.figure(figsize=(_INCHES[0], _INCHES[1] * rows))
        for row, panel, top, left in placed:
            if panel is row.panels[0]:
                heading = 1 - (top - 0.4) / rows
                figure.text(0.02, heading, row.title, fontsize=10, fontweight="bold")
            axes = figure.add_axes(_inner(panel, top, left, rows))
            axes.set_title(panel.title, loc="left", fontsize=8)
            _KINDS[panel.kind](axes, panel, found[row.title, panel.title], start_s)
            axes.set_xlim(0, end_s - start_s)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=_DPI)
        plt.close(figure)
    # There are few colours, and a smaller file loads faster.
    Image.open(path).convert("RGB").quantize(_PALETTE).save(path, optimize=True)


def _inner(panel: Panel, top: int, left: int, rows: int) -> tuple[float, float, float, float]:
    """Return the rectangle of a panel's axes, with a margin, in fractions of the figure."""
    return (
        (left + 1.3) / COLUMNS,
        1 - (top + panel.height - 1.1) / rows,
        (panel.width - 1.8) / COLUMNS,
        (panel.height - 2.4) / rows,
    )


def _number(axes: Axes, panel: Panel, answers: list[list[Series]], _start_s: float) -> None:
    axes.set_axis_off()
    value = float(answers[0][0]["values"][-1][1]) if answers[0] else math.nan
    bad = panel.red_from is not None and value >= panel.red_from
    # A count is extrapolated from scrapes; Grafana rounds it as well.
    text = f"{value:.0f}" if panel.unit == "short" else f"{value:.3g} {_unit(panel)}"
    axes.text(0, 0.4, text, fontsize=17, color="#f2495c" if bad else "#73bf69", va="center")


def _lines(axes: Axes, panel: Panel, answers: list[list[Series]], start_s: float) -> None:
    curves = list(_curves(panel, answers, start_s))
    if panel.stacked and curves:
        times = sorted({time for _, line in curves for time in line})
        step = min((later - time for time, later in pairwise(times)), default=1.0)
        # Without data a stack is 0, not a line between the values before and after.
        grid = np.arange(times[0], times[-1] + step / 2, step).round(3)
        lines = [{round(time, 3): value for time, value in line.items()} for _, line in curves]
        values = [[line.get(float(time), 0.0) for time in grid] for line in lines]
        axes.stackplot(grid, values, labels=[name for name, _ in curves], alpha=0.7)
    else:
        for name, line in curves:
            axes.plot(list(line), list(line.values()), label=name, linewidth=1)
    if panel.red_from is not None:
        axes.axhline(panel.red_from, color="#f2495c", linewidth=0.7, linestyle="--")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(_unit(panel), fontsize=6)
    if 1 < len(curves) <= len(_COLOURS):
        axes.legend(loc="upper left", fontsize=5.5, framealpha=0.3)


def _heat(axes: Axes, _panel: Panel, answers: list[list[Series]], start_s: float) -> None:
    """Draw how many observations fell into each bucket, from cumulative buckets."""
    buckets = sorted(answers[0], key=lambda series: float(series["metric"]["le"]))
    times = sorted({float(time) for series in buckets for time, _ in series["values"]})
    if not times:
        return
    cumulative = np.zeros((len(buckets) + 1, len(times)))
    for index, series in enumerate(buckets, 1):
        values = dict(_finite(series))
        cumulative[index] = [values.get(time, 0.0) for time in times]
    counts = np.diff(cumulative, axis=0)
    axes.pcolormesh(
        [time - start_s for time in times],
        range(len(buckets)),
        np.ma.masked_less_equal(counts, 0),
        cmap="Oranges_r",
        shading="nearest",
    )
    names = [series["metric"]["le"].replace("+Inf", "∞") for series in buckets]
    shown = range(0, len(names), 3)
    axes.set_yticks(list(shown), [f"{names[index]} s" for index in shown])


def _states(axes: Axes, panel: Panel, answers: list[list[Series]], start_s: float) -> None:
    curves = list(_curves(panel, answers, start_s))
    for index, (_, line) in enumerate(curves):
        for time, value in line.items():
            colour = panel.names[f"{value:.0f}"][1]
            axes.barh(index, 1.5, left=time, height=0.7, color=colour)
    axes.set_yticks(range(len(curves)), [name for name, _ in curves], fontsize=5)


def _unit(panel: Panel) -> str:
    return _UNITS.get(panel.unit, panel.unit.removeprefix("suffix: "))


def _curves(
    panel: Panel, answers: list[list[Series]], start_s: float
) -> Iterator[tuple[str, dict[float, float]]]:
    """Yield every series as its name in the legend, and its values by time."""
    for query, found in zip(panel.queries, answers, strict=True):
        for series in found:
            name = query.legend
            for label, value in series["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            yield name, {time - start_s: value for time, value in _finite(series)}


def _finite(series: Series) -> Iterator[tuple[float, float]]:
    for time, text in series["values"]:
        if math.isfinite(value := float(text)):
            yield float(time), value


_KINDS: Final = {
    "stat": _number,
    "timeseries": _lines,
    "heatmap": _heat,
    "state-timeline": _states,
}

_STYLE: Final[Any] = {
    "figure.facecolor": "#111217",
    "axes.facecolor": "#181b1f",
    "axes.edgecolor": "#34363c",
    "axes.prop_cycle": cycler(color=_COLOURS),
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#26282e",
    "legend.labelcolor": _INK,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
}
