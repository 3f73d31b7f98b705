"""The stylizer's own metrics: frames by style, with a bounded number of styles."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from stylizer.metrics import StylizerMetrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> StylizerMetrics:
    return StylizerMetrics(registry)


def frames(registry: CollectorRegistry) -> dict[str, float]:
    return {
        sample.labels["style"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "stylizer_frames_total"
    }


def test_frames_are_counted_once_and_by_their_style(
    metrics: StylizerMetrics, registry: CollectorRegistry
) -> None:
    metrics.painted("starry-night", 32)
    metrics.chunk("stylized")
    metrics.painted("the-scream", 8)
    metrics.chunk("stylized")
    assert frames(registry) == {"starry-night": 32, "the-scream": 8}
    assert registry.get_sample_value("stylizer_chunks_total", {"outcome": "stylized"}) == 2


def test_a_gallerys_styles_are_counted_from_the_start(
    metrics: StylizerMetrics, registry: CollectorRegistry
) -> None:
    metrics.offers(["starry-night", "the-scream"])
    assert frames(registry) == {"starry-night": 0, "the-scream": 0}
    assert registry.get_sample_value("stylizer_chunks_total", {"outcome": "failed"}) == 0


def test_all_blends_are_one_style_to_the_metrics(
    metrics: StylizerMetrics, registry: CollectorRegistry
) -> None:
    metrics.painted("starry-night:0.60,the-scream:0.40", 5)
    metrics.painted("starry-night:0.50,the-scream:0.50", 6)
    assert frames(registry) == {"blend": 11}


def test_a_gallery_of_a_thousand_styles_makes_few_time_series_and_loses_no_frame(
    metrics: StylizerMetrics, registry: CollectorRegistry
) -> None:
    for number in range(1000):
        metrics.painted(f"style-{number}", 1)
    metrics.painted("style-0", 1)
    assert len(frames(registry)) <= 65
    assert frames(registry)["style-0"] == 2
    assert sum(frames(registry).values()) == 1001


def test_chunks_that_needed_isolation_or_were_passed_through_are_counted(
    metrics: StylizerMetrics, registry: CollectorRegistry
) -> None:
    metrics.attempt("in_process")
    metrics.attempt("isolated")
    metrics.attempt("isolated")
    metrics.passed_through()
    assert registry.get_sample_value("stylizer_attempts_total", {"kind": "in_process"}) == 1
    assert registry.get_sample_value("stylizer_attempts_total", {"kind": "isolated"}) == 2
    assert registry.get_sample_value("stylizer_passed_through_total") == 1
