"""Turn the recorded outages into promtool's tests: what was seen, and what has to fire when.

``python -m deploy.monitoring.trials`` writes ``rules/tests/recorded.json`` (which is YAML, too).
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
"""The alerts that are told from what was recorded."""

UPLOAD: Final = 1
"""The minute of the first upload; every outage has to be heard of within ten minutes from it."""

QUIET: Final = UPLOAD + 4
HEARD: Final = UPLOAD + 10
END: Final = 13


OUTAGES: Final = {
    "nobody-splits": {"StylestreamNobodySplits"},
    # Nor did anybody assemble there: only a splitter was woken.
    "nobody-paints": {"StylestreamNobodyPaints", "StylestreamNobodyAssembles"},
    "nobody-assembles": {"StylestreamNobodyAssembles"},
    "unannounced": {"StylestreamUploadsUnannounced"},
}
"""What has to fire in each outage, and nothing else of `ALERTS`."""

EXPECTED: Final[dict[str, set[str]]] = {
    **{f"{name}-{how}": alerts for name, alerts in OUTAGES.items() for how in ("short", "steady")},
    # Seven minutes until the first stylizer is there: slow, and no outage.
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
    """Expect that an alert fires when it has to, whatever number is in its sentence."""
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
