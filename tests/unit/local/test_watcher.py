"""How often the uploads are listed."""

from __future__ import annotations

import pytest

from local.watcher import pause_after

INTERVAL_S = 0.5


def test_few_uploads_are_looked_at_in_every_interval() -> None:
    assert pause_after(0.01, INTERVAL_S) == INTERVAL_S


def test_a_long_list_of_uploads_is_looked_at_for_a_tenth_of_the_time() -> None:
    assert pause_after(0.3, INTERVAL_S) == pytest.approx(2.7)


def test_a_listing_that_an_outage_held_up_delays_the_next_by_seconds_only() -> None:
    assert pause_after(29, INTERVAL_S) == 5
