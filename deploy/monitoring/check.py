"""Checks that every panel of every dashboard has data, and that rules and alerts are right.

::

    .venv/bin/python -m deploy.monitoring.rehearsal build/monitoring
    .venv-deploy/bin/python -m deploy.monitoring.check build/monitoring [IMAGES]

The second command evaluates every expression of every panel with a real Prometheus on the data that
the first has written, with variables filled in as by Grafana. It fails if Prometheus rejects an
expression, or if one has no data. With a folder for IMAGES, it also draws the panels for the
documentation.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import promql_parser
import yaml

from deploy.monitoring.generate import DASHBOARDS
from deploy.monitoring.grafana import DEPLOYMENT, Choice, Dashboard, Panel
from deploy.monitoring.prometheus import Prometheus, QueryError, Series, require, running
from deploy.monitoring.screens import draw

HERE: Final = Path(__file__).parent
RULES: Final = tuple(sorted((HERE / "rules").glob("*.yml")))

EXPECTED_ALERTS: Final = {"StylestreamDeadLetters"}
"""The alert that a rehearsal triggers, with foreign events and one bad upload among good ones."""

_POINTS: Final = 240
# What Grafana uses for a scrape interval of 5 s; the rehearsal scrapes more often.
_RATE_INTERVAL_S: Final = 20

Data = Mapping[tuple[str, str], list[list[Series]]]
"""The series of each query of each panel, by the titles of its row and the panel."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time that the data cover."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


def main(folder: Path, images: Path | None) -> None:
    """Check, and draw the panels into the folder ``images`` if it is given."""
    require()
    problems = [*_unreadable()]
    _promtool("check", "rules", *map(str, RULES))
    _promtool("check", "config", str(HERE.parent / "compose/prometheus.yml"))
    _promtool("test", "rules", *map(str, sorted((HERE / "rules/tests").glob("*.*"))))
    window = Window(**json.loads((folder / "window.json").read_text(encoding="utf-8")))
    with running(folder / "prometheus", "{}") as prometheus:
        problems += _alerts(prometheus, window)
        for file, dashboard in DASHBOARDS.items():
            found = dict(_ask(prometheus, dashboard, window))
            problems += _silent(dashboard, found)
            if images is not None:
                image = images / Path(file).with_suffix(".png")
                draw(dashboard, found, (window.start_s, window.end_s), image)
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


def filled_in(expr: str, dashboard: Dashboard, range_s: float) -> str:
    """Return an expression with its variables filled in as by Grafana, with all values chosen."""
    values = {
        "__rate_interval": f"{_RATE_INTERVAL_S}s",
        "__range_s": f"{range_s:.0f}",
        "__range": f"{range_s:.0f}s",
        **{
            variable.name: ".*" if isinstance(variable, Choice) else variable.default
            for variable in dashboard.variables
        },
    }
    # Steps of a minute are too coarse for a short rehearsal.
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expr).replace(":1m]", ":5s]")


def _unreadable() -> Iterator[str]:
    """Yield the errors of an independent PromQL parser."""
    exprs = {
        rule.get("alert") or rule["record"]: rule["expr"]
        for file in RULES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    exprs["deployments"] = DEPLOYMENT
    for dashboard in DASHBOARDS.values():
        for panel, query in _queries(dashboard):
            exprs[f"{dashboard.uid}: {panel.title}: {query}"] = filled_in(query, dashboard, 3600)
    for where, expr in exprs.items():
        try:
            promql_parser.parse(expr)
        except ValueError as error:
            yield f"{where}: {error}"


def _queries(dashboard: Dashboard) -> Iterator[tuple[Panel, str]]:
    for row in dashboard.rows:
        for panel in row.panels:
            for query in panel.queries:
                yield panel, query.expr


def _promtool(*arguments: str) -> None:
    subprocess.run(["promtool", *arguments], check=True)


def _alerts(prometheus: Prometheus, window: Window) -> Iterator[str]:
    """Yield a sentence if the rehearsal did not trigger exactly the expected alerts."""
    firing = prometheus.query('ALERTS{alertstate="firing"}', window.start_s, window.end_s, step_s=1)
    names = {series["metric"]["alertname"] for series in firing}
    if names != EXPECTED_ALERTS:
        yield f"alerts: {sorted(names)} instead of {sorted(EXPECTED_ALERTS)}"


def _ask(
    prometheus: Prometheus, dashboard: Dashboard, window: Window
) -> Iterator[tuple[tuple[str, str], list[list[Series]]]]:
    for row in dashboard.rows:
        for panel in row.panels:
            yield (
                (row.title, panel.title),
                [_found(prometheus, panel, q.expr, dashboard, window) for q in panel.queries],
            )


def _found(
    prometheus: Prometheus, panel: Panel, query: str, dashboard: Dashboard, window: Window
) -> list[Series]:
    expr = filled_in(query, dashboard, window.seconds)
    # A single number covers the whole window, so it is evaluated at its end.
    start_s = window.end_s if panel.kind == "stat" else window.start_s
    step_s = max(1.0, window.seconds / _POINTS)
    try:
        series = prometheus.query(expr, start_s, window.end_s, step_s)
    except QueryError as error:
        raise SystemExit(f"{dashboard.uid}: {panel.title}: {error}\n{expr}") from error
    return [one for one in series if any(_finite(value) for value in one["values"])]


def _finite(value: Any) -> bool:
    return math.isfinite(float(value[1]))


def _silent(dashboard: Dashboard, found: Data) -> Iterator[str]:
    for row in dashboard.rows:
        for panel in row.panels:
            answers = found[row.title, panel.title]
            for query, series in zip(panel.queries, answers, strict=True):
                if not series:
                    yield f"{dashboard.uid}: {panel.title}: no data for {query.expr}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)  # noqa: PLR2004 - the second is optional
