"""The costs in Azure are computed from prices that name their source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deploy.azure import costs
from exporter.settings import ExporterSettings
from shared.hubs import sharing

ROOT = Path(__file__).resolve().parents[3]
LAYOUT = json.loads((ROOT / "deploy/azure/layout.json").read_text(encoding="utf-8"))
SCALED_OBJECTS = ROOT / "deploy/kubernetes/azure/scaled-objects.yaml"
TIMES = ("start", "end")

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
        "looks_per_minute": 4,
        "hubs": 3,
        "partitions": 44,
        "wakes_per_hour": 2,
        "lists_and_writes_per_wake": 180,
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


def test_looking_for_work_reads_every_position_and_lists_every_hubs_at_each_look() -> None:
    # A month has 43,800 minutes: 7,708,800 reads, 525,600 lists of positions, 43,800 of uploads,
    # and 1,460 wakes.
    lists = 525_600 + 43_800 + 1_460 * 180
    assert PRICES.looking_month() == pytest.approx(7_708_800 * 0.4e-6 + lists * 5e-6)


def test_looks_are_counted_as_they_are_configured() -> None:
    assumed = costs.Prices.read().assumed
    partitions = [hub["partitions"] for hub in LAYOUT["hubs"]]
    scaled = list(yaml.safe_load_all(SCALED_OBJECTS.read_text(encoding="utf-8")))
    every_hour = [each for each in scaled if len(each["spec"]["triggers"]) > 1]
    exporter = ExporterSettings.model_fields
    looks_s = {each["spec"]["pollingInterval"] for each in scaled}

    assert looks_s == {exporter["look_interval_s"].default} == {60 / assumed["looks_per_minute"]}
    assert exporter["uploads_interval_s"].default == 60
    assert (assumed["hubs"], assumed["partitions"]) == (len(partitions), sum(partitions))
    assert assumed["wakes_per_hour"] == len(every_hour)
    for each in every_hour:
        begin, end = (int(each["spec"]["triggers"][1]["metadata"][key].split()[0]) for key in TIMES)
        awake_s = 60 * (end - begin) + each["spec"]["cooldownPeriod"]
        renewal_s = exporter["ownership_expiry_s"].default / sharing._RENEWALS_A_LIFE
        requests = awake_s / sharing._CALM_S + awake_s / renewal_s
        assert assumed["lists_and_writes_per_wake"] == requests


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
