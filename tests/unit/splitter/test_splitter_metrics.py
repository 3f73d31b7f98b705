"""The splitter's own metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from splitter.metrics import SplitterMetrics
from splitter.protection import LAYERS


def test_how_far_the_splitter_is_ahead_and_how_long_it_waited_can_be_seen() -> None:
    registry = CollectorRegistry()
    metrics = SplitterMetrics(registry)
    for _ in range(5):
        metrics.outstanding(+1)
    metrics.outstanding(-3)
    with metrics.waiting():
        pass
    with metrics.waiting():
        pass
    assert registry.get_sample_value("splitter_outstanding_chunks") == 2
    assert registry.get_sample_value("splitter_paced_seconds_count") == 2


def test_every_answer_of_the_webhook_counts_from_zero() -> None:
    registry = CollectorRegistry()
    metrics = SplitterMetrics(registry)
    metrics.delivery("unauthorised")
    found = {
        outcome: registry.get_sample_value(
            "splitter_webhook_deliveries_total", {"outcome": outcome}
        )
        for outcome in ("delivered", "refused", "unauthorised", "put_off")
    }
    assert found == {"delivered": 0, "refused": 0, "unauthorised": 1, "put_off": 0}


def test_the_sandbox_layers_in_force_are_a_metric() -> None:
    registry = CollectorRegistry()
    SplitterMetrics(registry).sandbox(frozenset({"limits", "seccomp"}))
    values = {
        layer: registry.get_sample_value("splitter_sandbox_layers", {"layer": layer})
        for layer in LAYERS
    }
    assert values == {"limits": 1, "landlock": 0, "seccomp": 1}
