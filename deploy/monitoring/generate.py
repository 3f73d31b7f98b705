"""Writes the dashboards' JSON files: ``python -m deploy.monitoring.generate``.

The files are committed because Grafana reads files; a test checks that they are up to date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.monitoring.grafana import Dashboard
from deploy.monitoring.health import HEALTH
from deploy.monitoring.levels import LEVELS
from deploy.monitoring.scaling import SCALING
from deploy.monitoring.studio import STUDIO
from deploy.monitoring.throughput import THROUGHPUT

FOLDER: Final = Path(__file__).parent / "dashboards"

DASHBOARDS: Final[dict[str, Dashboard]] = {
    "throughput.json": THROUGHPUT,
    "pipeline-health.json": HEALTH,
    "scaling-cost.json": SCALING,
    "service-levels.json": LEVELS,
    "studio.json": STUDIO,
}


def main() -> None:
    """Write a file for each dashboard."""
    for name, dashboard in DASHBOARDS.items():
        (FOLDER / name).write_text(dashboard.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
