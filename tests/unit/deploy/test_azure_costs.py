"""What the pipeline costs in Azure is worked out from prices that name their source."""

from __future__ import annotations

import json

import pytest

from deploy.azure import costs

PRICES = costs.Prices(
    usd={
        "gpu_spot": 3.0,
        "gpu_on_demand": 30.0,
        "private_endpoint": 0.01,
        "private_zone": 0.5,
        "blob_writes": 0.05,
        "blob_reads": 0.004,
        "events": 0.028,
    },
    assumed={
        "frames_per_second": 32,
        "gpu_frames_per_second": [16, 64],
        "cold_start_minutes": 8,
        "idle_minutes": 2,
        "writes_per_chunk": 10,
        "reads_per_chunk": 5,
        "events_per_chunk": 2,
    },
)


def test_a_gpu_as_fast_as_the_video_paints_an_hour_of_it_in_an_hour() -> None:
    assert PRICES.gpu_hours(32) == 1.0


def test_painting_costs_least_on_the_fastest_gpu() -> None:
    assert PRICES.painting("gpu", "spot") == (1.5, 6.0)
    assert PRICES.painting("gpu", "on_demand") == (15.0, 60.0)


def test_a_burst_pays_for_the_start_and_for_waiting() -> None:
    assert PRICES.burst("gpu", "spot") == pytest.approx(0.5)


def test_moving_counts_writes_reads_and_events_of_every_chunk() -> None:
    # 3,600 chunks: 36,000 writes, 18,000 reads, 7,200 events.
    assert PRICES.moving() == pytest.approx(0.18 + 0.0072 + 0.0002016)


def test_a_private_network_pays_for_endpoints_and_zones() -> None:
    assert PRICES.private_network_month() == pytest.approx(4 * 7.30 + 3 * 0.50)


def test_every_price_names_a_source_with_its_date() -> None:
    content = json.loads(costs.PRICES.read_text(encoding="utf-8"))

    for name, entry in content["prices"].items():
        assert "2026" in content["sources"][entry["source"]], name
        assert entry["usd"] > 0, name


def test_the_month_without_videos_is_the_sum_of_its_lines() -> None:
    prices = costs.Prices.read()
    idle = prices.idle_month()

    assert idle["Event Hubs, one throughput unit"] == pytest.approx(0.03 * 730)
    assert f"| **all** | **{sum(idle.values()):.0f}** |" in list(costs.tables(prices))
