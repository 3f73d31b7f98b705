"""The assembler's own metrics, and what dashboards derive from them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from assembler.metrics import AssemblerMetrics, Tenants
from shared.contracts.status import Cost


def test_published_results_give_the_real_time_ratio() -> None:
    registry = CollectorRegistry()
    metrics = AssemblerMetrics(registry)
    metrics.published("team/a.mp4", frames=300, video_seconds=10.0, wait_seconds=4.0)
    metrics.published("team/b.mp4", frames=600, video_seconds=20.0, wait_seconds=11.0)
    video = registry.get_sample_value("assembler_video_seconds_total") or 0
    wall = registry.get_sample_value("assembler_result_seconds_sum", {"tenant": "team"}) or 0
    assert video / wall == pytest.approx(2.0)
    assert registry.get_sample_value("assembler_frames_total") == 900


def test_the_jobs_followed_show_as_they_are_now() -> None:
    registry = CollectorRegistry()
    metrics = AssemblerMetrics(registry)
    metrics.jobs(open=3, oldest_age_s=61.5, stalled=1)
    assert registry.get_sample_value("assembler_stalled_jobs") == 1
    metrics.jobs(open=0, oldest_age_s=0, stalled=0)
    assert registry.get_sample_value("assembler_open_jobs") == 0
    assert registry.get_sample_value("assembler_oldest_job_age_seconds") == 0
    metrics.redriven(4)
    assert registry.get_sample_value("assembler_redriven_chunks_total") == 4


def test_announcements_count_from_zero_for_every_end_of_a_job_and_every_outcome() -> None:
    registry = CollectorRegistry()
    AssemblerMetrics(registry).announcement("degraded", "put_off")
    found = {
        (sample.labels["state"], sample.labels["outcome"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "assembler_announcements_total"
    }
    assert found.pop(("degraded", "put_off")) == 1
    assert len(found) == 4 * 3 - 1
    assert set(found.values()) == {0}


def test_tenants_are_the_first_folders_and_their_number_is_bounded() -> None:
    tenants = Tenants()

    assert tenants.of("alone.mp4") == "(none)"
    assert tenants.of("team/film.mp4") == tenants.of("team/more/film.mp4") == "team"
    assert tenants.of("bad\nname/film.mp4") == tenants.of(f"{'x' * 64}/film.mp4") == "(others)"
    assert len({tenants.of(f"folder {n}/film.mp4") for n in range(1000)}) == 32
    assert tenants.of("folder 999/film.mp4") == "(others)"
    assert tenants.of("team/film.mp4") == "team"


def test_the_work_of_ended_jobs_adds_up_by_tenant() -> None:
    registry = CollectorRegistry()
    metrics = AssemblerMetrics(registry)
    metrics.worked("team/a.mp4", Cost(cpu_s=3.0, gpu_s=1.5))
    metrics.worked("team/b.mp4", Cost(cpu_s=1.0))

    def work(on: str) -> float | None:
        return registry.get_sample_value(
            "assembler_work_seconds_total", {"tenant": "team", "on": on}
        )

    assert (work("cpu"), work("gpu")) == (4.0, 1.5)
