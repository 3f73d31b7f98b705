"""How fast a job is said to be painted."""

from __future__ import annotations

import pytest

from web.jobs.pace import Pace


def test_reading_a_video_does_not_make_its_painting_slow() -> None:
    pace = Pace()
    for at_s in range(10):  # it waits, and is read
        pace.see(at_s, 0)
    pace.see(10, 8)
    pace.see(10.5, 8)
    assert pace.per_s is None, "one segment has no speed"
    pace.see(11, 24)
    pace.see(12, 40)
    assert pace.per_s == pytest.approx(16)


def test_what_stops_becomes_slower_and_what_is_long_ago_does_not_count() -> None:
    pace = Pace()
    pace.see(0, 10)
    pace.see(1, 40)
    assert pace.per_s == pytest.approx(30)
    pace.see(3, 40)
    assert pace.per_s == pytest.approx(10)
    for at_s in range(4, 30):
        pace.see(at_s, 40 + 2 * at_s)
    assert pace.per_s == pytest.approx(2)
