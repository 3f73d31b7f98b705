"""What a benchmark reports."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench import markdown
from bench.inference import NetworkSpeed
from bench.peers import NOT_INSTALLED, Speed
from bench.peers import table as peers_table
from bench.pipeline import JobFigures, PipelineFigures, ProcessCost
from bench.report import table
from bench.small_jobs import SmallJobs
from bench.suite import Figures, Suite, Wanted

SUITES: tuple[Suite, ...] = ("quick", "full")


def job(size: str, painted: str, scale: float) -> JobFigures:
    costs = {
        "stylizer-1": ProcessCost(20 * scale, 300 * scale, 250 * scale),
        "client": ProcessCost(1.0, 900.0, 800.0),
    }
    return JobFigures(size, painted, 120, 2.0 * scale, 60.0 / scale, 0.7, 0.2, costs)


def networks(precision: str, scale: float) -> list[NetworkSpeed]:
    return [
        NetworkSpeed("640x360", 100.0 / scale, 15.0 * scale, "cpu", precision),
        NetworkSpeed("1280x720", 40.0 / scale, 32.0 * scale, "cpu", precision),
    ]


FIGURES = Figures(
    machine="a machine",
    taken_at="2026-01-01",
    style="udnie",
    stylizers=1,
    networks=networks("bf16", 1.0),
    networks_fp32=networks("fp32", 2.0),
    pipeline=PipelineFigures(
        [job("640x360", "640x360", 1), job("1920x1080", "1280x720", 2)], 3.0, 0.1
    ),
    media=[],
    small_jobs=None,
    scale_out=None,
    peers=None,
)


def test_memory_is_reported_for_each_size_without_the_benchmark_itself() -> None:
    rows = table(FIGURES).splitlines()
    assert "| stylizer-1 | 20.00 | 40.00 | 300, 250 | 600, 500 |" in rows
    assert "| client | 1.00 | 1.00 |  |  |" in rows
    assert "| all | 21.00 | 41.00 | | |" in rows


def test_each_size_is_compared_with_the_bare_network_of_the_same_run() -> None:
    rows = table(FIGURES).splitlines()
    assert "| 640x360 | 640x360 | 120 | 100.0 | 60.0 | 0.60 | 15.0 | 6.0 | 300 |" in rows
    assert "| 1920x1080 | 1280x720 | 120 | 40.0 | 30.0 | 0.75 | 32.0 | 9.0 | 600 |" in rows
    assert "| 640x360 | 100.0 | 50.0 | 2.00 | 15.0 | 30.0 | 0.50 |" in rows


@pytest.mark.parametrize(
    ("found", "said"), [([], NOT_INSTALLED), ([Speed("another 0.1.0", 20.0, 90.0)], "another 0.1")]
)
def test_a_full_suite_measures_the_other_package_or_says_how_to_install_it(
    found: list[Speed], said: str
) -> None:
    assert said not in table(FIGURES)
    assert said in table(dataclasses.replace(FIGURES, peers=found))


def test_a_small_jobs_cost_is_told_without_that_of_its_frames() -> None:
    small = SmallJobs(30, 60, jobs_per_second=4.0, cpu_ms_per_job=480.0, cpu_ms_per_frame=5.0)
    rows = table(dataclasses.replace(FIGURES, small_jobs=small)).splitlines()
    assert "| 4.00 | 480 | 5.00 | 180 |" in rows


def test_a_full_suite_paints_720_lines_too_and_has_the_network_of_1080() -> None:
    quick, full = (Wanted(suite, 1200, "udnie", 1, None, {}) for suite in SUITES)
    assert [case.size for case in quick.cases] == ["640x360", "1920x1080"]
    assert [case.size for case in full.cases] == ["640x360", "1280x720", "1920x1080"]
    # Pictures of 1080 lines are painted at 720.
    assert quick.network_sizes == [(640, 360), (1280, 720)]
    assert full.network_sizes == [(640, 360), (1280, 720), (1920, 1080)]


def test_the_network_of_another_package_is_compared_in_a_table_of_its_own() -> None:
    speeds = [Speed("udnie", 100.0, 18.0), Speed("another 0.1.0", 20.0, 90.0)]
    assert peers_table(speeds).splitlines()[-1] == "| another 0.1.0 | 20.0 | 0.20 | 90.0 | 5.0 |"


def test_a_repeated_measurement_replaces_only_its_own_part_of_a_document(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    markdown.put(document, "bench", "one", "| 1 |")
    markdown.put(document, "compare", "two", "| 2 |")
    document.write_text(document.read_text() + "\nAnd this.\n")
    markdown.put(document, "bench", "three", "| 3 |")
    text = document.read_text()
    assert text.startswith("# Compared\n\n<!-- bench")
    assert [f"| {number} |" in text for number in (1, 2, 3)] == [False, True, True]
    assert "Measured by `three`." in text
    assert text.endswith("\nAnd this.\n")
