"""The metrics that every service has: values appear under the promised names, labels stay few."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shared.contracts.codes import FAILURE_CODES
from shared.telemetry.metrics import WorkMetrics

ROOT = Path(__file__).resolve().parents[4]
RAISERS = ("Error", "Refused", "Refusal", "fail")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> WorkMetrics:
    return WorkMetrics(registry, "test")


def test_a_known_code_is_counted_under_its_name(
    metrics: WorkMetrics, registry: CollectorRegistry
) -> None:
    metrics.failed("NOT_A_VIDEO")
    metrics.dead_lettered("BAD_MESSAGE")
    assert (
        registry.get_sample_value("test_errors_total", {"code": "NOT_A_VIDEO", "fault": "user"})
        == 1
    )
    assert registry.get_sample_value("test_dead_letters_total", {"code": "BAD_MESSAGE"}) == 1


def test_the_first_failure_of_its_kind_is_an_increase(registry: CollectorRegistry) -> None:
    WorkMetrics(registry, "test")
    assert (
        registry.get_sample_value("test_errors_total", {"code": "TOO_DAMAGED", "fault": "user"})
        == 0
    )
    assert registry.get_sample_value("test_dead_letters_total", {"code": "BAD_MESSAGE"}) == 0


def test_unknown_codes_share_one_time_series(
    metrics: WorkMetrics, registry: CollectorRegistry
) -> None:
    for number in range(100):
        metrics.failed(f"MADE_UP_{number}")
        metrics.dead_lettered(f"made up {number}\n")
    assert (
        registry.get_sample_value("test_errors_total", {"code": "OTHER", "fault": "service"}) == 100
    )
    assert registry.get_sample_value("test_dead_letters_total", {"code": "OTHER"}) == 100
    codes = {s.labels["code"] for f in registry.collect() for s in f.samples if "code" in s.labels}
    assert codes == FAILURE_CODES | {"OTHER"}


def test_every_code_that_the_services_raise_is_known_to_the_metrics() -> None:
    raised = {
        (code, path.name)
        for package in ("shared", "splitter", "stylizer", "assembler")
        for path in (ROOT / package).rglob("*.py")
        for code in codes_in(path)
    }
    assert len(raised) > 40, "the search finds the codes"
    assert {code: where for code, where in raised if code not in FAILURE_CODES} == {}


def codes_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str(code)), *_]) if name_of(
                function
            ).endswith(RAISERS):
                yield from [code] if code.isupper() else []
            case ast.IfExp(orelse=ast.Constant(value=str(code))) if "_" in code and code.isupper():
                yield code


def name_of(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def test_a_dependency_that_went_away_and_came_back_shows_as_it_is_now(
    metrics: WorkMetrics, registry: CollectorRegistry
) -> None:
    shown = []
    for up in (True, False, True):
        metrics.dependency("storage", up=up)
        shown.append(registry.get_sample_value("test_dependency_up", {"dependency": "storage"}))
    assert shown == [1, 0, 1]


def test_the_running_version_can_be_seen(metrics: WorkMetrics, registry: CollectorRegistry) -> None:
    labels = {"service": "test", "version": metadata.version("stylestream")}
    assert registry.get_sample_value("stylestream_build_info", labels) == 1


def test_an_image_reports_the_version_that_it_was_built_from(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLESTREAM_VERSION", "7.8.9")
    WorkMetrics(registry, "test")
    labels = {"service": "test", "version": "7.8.9"}
    assert registry.get_sample_value("stylestream_build_info", labels) == 1


def test_a_consumer_shows_its_partitions_their_lag_and_its_last_sign_of_life(
    metrics: WorkMetrics, registry: CollectorRegistry
) -> None:
    reading = metrics.reading("frames")
    reading.owned(2)
    reading.lag("0", 7)
    reading.lag("1", 9)
    reading.released("1")
    reading.owned(1)
    reading.rebuilt()
    reading.called_back()
    hub = {"hub": "frames"}
    assert registry.get_sample_value("test_owned_partitions", hub) == 1
    assert registry.get_sample_value("test_lag_events", {**hub, "partition": "0"}) == 7
    assert registry.get_sample_value("test_lag_events", {**hub, "partition": "1"}) is None
    assert registry.get_sample_value("test_consumer_rebuilds_total", hub) == 1
    assert (registry.get_sample_value("test_last_callback_timestamp_seconds", hub) or 0) > 1.7e9
