"""A Grafana dashboard as a frozen value, and its JSON.

It has only what our dashboards use, so that each line of Python states one fact about a panel.
Grafana's own builders (grafana-foundation-sdk) write the same format, but their output changes from
version to version, and our JSON is committed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["stat", "timeseries", "heatmap", "state-timeline"]

COLUMNS: Final = 24
"""Of Grafana's grid."""
_STAT_HEIGHT: Final = 4
_HEIGHT: Final = 8
_SCHEMA: Final = 39
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and Grafana's template for the names of its series."""

    expr: str
    legend: str = ""


def quantile(share: float, buckets: str, window: str = "$__rate_interval") -> str:
    """Return the expression for a quantile of a histogram, given its series of buckets."""
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[{window}])))"


def median_and_95th(buckets: str) -> tuple[Query, ...]:
    """Return the queries for the median of a histogram and its 95th percentile."""
    return tuple(Query(quantile(share, buckets), f"{share:.0%}") for share in (0.5, 0.95))


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel. ``unit`` is a Grafana unit; values are bad from ``red_from`` on."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    red_from: float | None = None
    stacked: bool = False
    names: dict[str, tuple[str, str]] = field(default_factory=dict)
    """For state timelines: the text and colour of each value."""
    runbook: str | None = None
    """The alert whose section of the runbook the panel links to."""

    @property
    def height(self) -> int:
        """The panel's height in cells of the grid."""
        return _STAT_HEIGHT if self.kind == "stat" else _HEIGHT


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading, from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable with the values of a metric's label, of which all are selected by default."""

    name: str
    label: str
    values: str


@dataclass(frozen=True, slots=True)
class Text:
    """A variable that the reader types in."""

    name: str
    label: str
    default: str


RUNBOOK: Final = Text("runbook", "Runbook", "https://example.com/runbook.md")
"""The address that links to the runbook begin with."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; ``uid`` is part of its address and must never change."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[Choice | Text, ...] = ()

    def to_json(self) -> str:
        """Return the dashboard for Grafana's provisioning."""
        return json.dumps(self._form(), indent=2, ensure_ascii=False) + "\n"

    def _variables(self) -> tuple[Choice | Text, ...]:
        linked = any(panel.runbook for row in self.rows for panel in row.panels)
        return (*self.variables, *([RUNBOOK] if linked else []))

    def _form(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": ["stylestream"],
            "schemaVersion": _SCHEMA,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [_SOURCE_VARIABLE, *map(_variable, self._variables())]},
            "annotations": {"list": [_DEPLOYMENTS]},
            "panels": list(_panels(self.rows)),
        }


_SOURCE_VARIABLE: Final = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "current": {},
    "hide": 0,
}


DEPLOYMENT: Final = (
    "count by (service, version) (stylestream_build_info) "
    "unless count by (service, version) (stylestream_build_info offset 5m)"
)
"""Has a value when a version of a service runs that did not run before."""

_DEPLOYMENTS: Final = {
    "name": "Deployments",
    "datasource": _SOURCE,
    "enable": True,
    "iconColor": "blue",
    "expr": DEPLOYMENT,
    "step": "60s",
    "titleFormat": "{{service}} {{version}}",
}


def _variable(variable: Choice | Text) -> dict[str, Any]:
    form: dict[str, Any] = {"name": variable.name, "label": variable.label, "hide": 0}
    if isinstance(variable, Text):
        current = {"text": variable.default, "value": variable.default}
        return form | {"type": "textbox", "query": variable.default, "current": current}
    return form | {
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": variable.values, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def places(rows: tuple[Row, ...]) -> Iterator[tuple[Row, Panel, int, int]]:
    """Yield each panel with its top and left in Grafana's grid.

    A row's heading takes the line above its first panel.
    """
    top = 0
    for row in rows:
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, height = top + height, 0, 0
            yield row, panel, top, left
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _panels(rows: tuple[Row, ...]) -> Iterator[dict[str, Any]]:
    numbers = itertools.count(1)
    for row, panel, top, left in places(rows):
        if panel is row.panels[0]:
            yield {
                "id": next(numbers),
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top - 1},
                "panels": [],
            }
        place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
        yield {"id": next(numbers), "gridPos": place, **_panel(panel)}


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "targets": [
            _target(panel, query, letter)
            for query, letter in zip(panel.queries, "ABCDEFGHIJ", strict=False)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
        "links": _links(panel),
    }


def _links(panel: Panel) -> list[dict[str, Any]]:
    if panel.runbook is None:
        return []
    url = f"${{{RUNBOOK.name}}}#{panel.runbook.lower()}"
    return [{"title": f"Runbook: {panel.runbook}", "url": url, "targetBlank": True}]


def _target(panel: Panel, query: Query, letter: str) -> dict[str, Any]:
    at_once = panel.kind == "stat"
    return {
        "refId": letter,
        "datasource": _SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": "heatmap" if panel.kind == "heatmap" else "time_series",
        "instant": at_once,
        "range": not at_once,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_from is not None:
        steps.append({"color": "red", "value": panel.red_from})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.kind == "stat" and panel.unit == "short":
        # An increase is an estimate, extrapolated from scrapes.
        defaults["decimals"] = 0
    if panel.kind == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {
            "fillOpacity": 30 if panel.stacked else 8,
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "showPoints": "never",
            "thresholdsStyle": {"mode": "off" if panel.red_from is None else "line"},
        }
    if panel.names:
        texts = {
            value: {"text": text, "color": color} for value, (text, color) in panel.names.items()
        }
        defaults["mappings"] = [{"type": "value", "options": texts}]
    return defaults


_OPTIONS: Final[dict[Kind, dict[str, Any]]] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "colorMode": "value",
        "graphMode": "none",
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "heatmap": {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "cellGap": 1,
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": True},
    },
    "state-timeline": {
        "mergeValues": True,
        "showValue": "auto",
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
    },
}
