"""Checks rules that are not in any schema: that manifests agree with the services.

::

    python -m deploy.kubernetes.rules build/kubernetes/*.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.kubernetes import pods, pools
from deploy.kubernetes.manifests import Manifests
from deploy.kubernetes.pods import Problems

RULES: Final[tuple[Callable[[Manifests], Problems], ...]] = (
    pods.settings_are_valid,
    pods.a_drain_fits_into_the_grace_period,
    pods.probes_ask_the_port_that_answers,
    pods.containers_may_do_little,
    pods.work_has_room,
    pods.the_largest_pictures_can_be_painted,
    pods.images_are_ours,
    pools.selectors_find_something,
    pools.applying_again_changes_nothing,
    pools.figures_are_collected,
    pools.pools_scale_by_their_lag,
    pools.lost_events_are_looked_for,
    pools.the_stylizers_are_all_reached,
    pools.pods_have_identities,
)


def problems(manifests: Manifests) -> list[str]:
    """Return a sentence for each problem."""
    return [problem for rule in RULES for problem in rule(manifests)]


def main() -> None:
    """Check the built overlays named on the command line; exit 1 on any problem."""
    found = [
        f"{Path(file).name}: {problem}"
        for file in sys.argv[1:]
        for problem in problems(Manifests.read(Path(file)))
    ]
    print("\n".join(found) if found else f"{len(sys.argv[1:])} overlays keep {len(RULES)} rules")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
