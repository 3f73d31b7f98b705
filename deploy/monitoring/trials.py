"""Turns the recorded outages into tests for promtool: the series, and which alerts fire when.

``python -m deploy.monitoring.trials`` writes ``rules/tests/recorded.json`` (valid YAML as well).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

TESTS: Final = Path(__file__).parent / "rules/tests"
RECORDED: Final = TESTS / "recorded"
FILE: Final = TESTS / "recorded.json"

ALERTS: Final = (
    *("StylestreamNobodySplits", "StylestreamNobodyPaints", "StylestreamNobodyAssembles"),
    *("StylestreamUploadsUnannounced", "StylestreamEventsExpired"),
)
"""The alerts that depend on the recorded series."""

UPLOAD: Final = 1
"""The minute of the first upload; an outage's alert must fire within ten minutes from it."""

QUIET: Final = UPLOAD + 4
HEARD: Final = UPLOAD + 10
END: Final = 13


OUTAGES: Final = {
    "nobody-splits": {"StylestreamNobodySplits"},
    # There was no assembler either: only a splitter was started.
    "nobody-paints": {"StylestreamNobodyPaints", "StylestreamNobodyAssembles"},
    "nobody-assembles": {"StylestreamNobodyAssembles"},
    "unannounced": {"StylestreamUploadsUnannounced"},
}
"""Which of the `ALERTS` have to fire in each outage; the others must not."""

EXPECTED: Final[dict[str, set[str]]] = {
    **{f"{name}-{how}": alerts for name, alerts in OUTAGES.items() for how in ("short", "steady")},
    # The first stylizer needs seven minutes to start, which is slow but not an outage.
    "cold-start": set(),
}


def tests() -> list[dict[str, Any]]:
    """Return a test for each recording."""
    return [
        {
            "name": name,
            "interval": "15s",
            "input_series": json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")),
            "promql_expr_test": [_fires(alert) for alert in sorted(alerts)],
            "alert_rule_test": [
                {"eval_time": f"{minute}m", "alertname": quiet, "exp_alerts": []}
                for quiet in ALERTS
                for minute in ([QUIET] if quiet in alerts else [QUIET, HEARD, END])
            ],
        }
        for name, alerts in EXPECTED.items()
    ]


def _fires(alert: str) -> dict[str, Any]:
    """Expect an alert to fire in time, whatever number its text contains."""
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
        "eval_time": f"{HEARD}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }


def main() -> None:
    """Write the tests."""
    content = {
        "rule_files": ["../outages.yml"],
        "evaluation_interval": "1m",
        "tests": tests(),
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
