"""Write the dashboards' JSON: ``python -m deploy.monitoring.generate``.

The files are committed, since Grafana reads files; a test compares them with what this writes.
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
    """Write one file a dashboard."""
    for name, dashboard in DASHBOARDS.items():
        (FOLDER / name).write_text(dashboard.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
