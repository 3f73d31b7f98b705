"""How two checkouts are compared."""

from __future__ import annotations

from bench.versions import Job, Side, table


def test_versions_are_compared_by_medians_of_their_rounds() -> None:
    size = (640, 360)
    before = Side("1.0", {size: [Job(10, 60), Job(20, 40), Job(90, 50)]}, {size: 400.0})
    after = Side("2.0", {size: [Job(30, 20), Job(50, 25), Job(1, 90)]}, {size: 300.0})
    assert table(before, after).splitlines()[-1] == (
        "| 640x360 | 20.0 | 30.0 | **1.50** | 50.0 | 25.0 | 0.50 | 400 | 300 |"
    )
