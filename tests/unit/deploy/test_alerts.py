"""The alerts: each queries existing metrics, is tested firing and silent, and has a runbook."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import trials
from deploy.monitoring.generate import DASHBOARDS
from shared.contracts.codes import FAILURE_CODES
from splitter.service import _OPEN

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy/monitoring/rules"
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
SERVICES = ("splitter", "stylizer", "assembler", "exporter", "web")
# Of kube-state-metrics, what the managed Prometheus of AKS keeps without being asked for more.
COLLECTED = {
    "kube_deployment_spec_replicas",
    "kube_pod_container_status_waiting_reason",
    "kube_pod_status_phase",
    # Of KEDA's operator, which a pod monitor of ours has it read; so named from KEDA 2.14 on.
    "keda_scaled_object_errors_total",
    "keda_scaled_object_paused",
    "keda_scaler_active",
}


@cache
def entries() -> list[dict[str, Any]]:
    """Every rule of every file."""
    return [
        rule
        for file in sorted(RULES.glob("*.yml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


@cache
def rules() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in entries() if "alert" in rule}


@cache
def expectations() -> list[dict[str, Any]]:
    """Every expectation of promtool's tests."""
    return [
        trial
        for file in sorted((RULES / "tests").glob("*.*"))
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for trial in test.get("alert_rule_test", ())
    ]


def section(alert: str) -> str:
    return RUNBOOK.split(f"\n## {alert}\n")[1].split("\n## ")[0].strip()


def first_command(alert: str) -> str:
    (command,) = re.findall(r"^First: `([^`]+)`$", section(alert), re.MULTILINE)
    return str(command)


by_alert = pytest.mark.parametrize("alert", rules())


def test_a_log_line_that_the_runbook_quotes_is_one_that_a_service_writes() -> None:
    code = "".join(
        file.read_text(encoding="utf-8")
        for package in ("shared", *SERVICES)
        for file in (ROOT / package).rglob("*.py")
    )
    quoted = re.findall(r"`([a-z ;]+)`\s+in\s+(?:the|its|their)\s+(?:\w+'\s+)?log", RUNBOOK)
    assert len(quoted) >= 8
    assert [line for line in quoted if f'"{line}' not in code] == []


def test_a_panel_that_the_runbook_names_is_on_a_dashboard() -> None:
    panels = {p.title for each in DASHBOARDS.values() for row in each.rows for p in row.panels}
    named = {" ".join(name.split()) for name in re.findall(r'"([A-Z][^"]+)"', RUNBOOK)}
    assert len(named) >= 8
    assert named <= panels


@by_alert
def test_the_runbook_says_what_to_do_where_the_alert_points(alert: str) -> None:
    assert f"\n## {alert}\n" in RUNBOOK
    address = "{{ $externalLabels.runbook }}#" + alert.lower()
    assert rules()[alert]["annotations"]["runbook_url"] == address


@by_alert
def test_the_runbook_and_the_alert_agree_on_how_urgent_it_is(alert: str) -> None:
    said = {"page": "*Page.*", "ticket": "*Ticket.*"}[rules()[alert]["labels"]["severity"]]
    assert section(alert).startswith(said)


@by_alert
def test_the_runbook_begins_with_a_command_on_something_that_exists(alert: str) -> None:
    match first_command(alert).split():
        case ["stylestream", command, *_]:
            assert command in {"status", "dead-letters", "doctor"}
        case ["python", "-m", module]:
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
        case ["kubectl", "-n", "stylestream", *words]:
            for kind, name in re.findall(r"(deployment/|name=)(\w+)", " ".join(words)):
                assert kind
                assert any((ROOT / "deploy/kubernetes").glob(f"*/{name}.yaml"))
        case ["az", "eventgrid", *_]:
            pass
        case other:
            pytest.fail(f"nobody knows {other}")


@by_alert
def test_an_alert_is_tried_both_firing_and_silent(alert: str) -> None:
    expected = {bool(each["exp_alerts"]) for each in expectations() if each["alertname"] == alert}
    if any(alert in alerts for alerts in trials.EXPECTED.values()):
        expected.add(True)
    assert expected == {True, False}


def test_every_metric_queried_is_one_that_a_service_exposes_or_aks_collects(
    figures: set[str],
) -> None:
    records = {rule["record"] for rule in entries() if "record" in rule}
    names = rf"(?<![\w:])(?:{'|'.join(SERVICES)}|stylestream|kube|keda|service|code|slo)[_:][\w:]+"
    for rule in entries():
        asked = set(re.findall(names, re.sub(r'"[^"]*"', "", rule["expr"])))
        assert asked, rule
        assert asked <= figures | records | COLLECTED


def test_the_runbook_has_no_section_for_an_alert_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == set(rules())


def test_recorded_outages_are_replayed_unchanged() -> None:
    recorded = {path.stem for path in trials.RECORDED.glob("*.json")}

    assert recorded == trials.EXPECTED.keys()
    assert json.loads(trials.FILE.read_text(encoding="utf-8"))["tests"] == trials.tests()


def test_the_alert_about_splitters_knows_how_many_videos_one_takes_up() -> None:
    assert f"max(splitter_in_hand) >= {_OPEN}\n" in rules()["StylestreamNobodySplits"]["expr"]


def test_azures_prometheus_takes_the_expressions_too() -> None:
    for rule in entries():
        assert "__name__" not in rule["expr"]


def test_every_code_that_the_runbook_names_can_occur() -> None:
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", RUNBOOK))
    settings = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/deploy.md").read_text()))
    parameters = set(re.findall(r"`([A-Z_]+)(?:=\w+)?`", (ROOT / "docs/azure.md").read_text()))
    assert named
    assert named - settings - parameters <= FAILURE_CODES


def test_every_code_of_a_failure_is_explained_somewhere() -> None:
    media = (ROOT / "docs/media.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z_]+\*?)`", RUNBOOK + media))

    unexplained = {
        code for code in FAILURE_CODES if not any(fnmatchcase(code, name) for name in named)
    }

    assert unexplained == set()


def test_prometheus_reads_the_rules_in_compose(compose: dict[str, dict[str, Any]]) -> None:
    mounts = compose["docker-compose.yml"]["services"]["prometheus"]["volumes"]
    assert "./deploy/monitoring/rules:/etc/prometheus/rules:ro" in mounts
    config = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text(encoding="utf-8"))
    assert config["rule_files"] == ["rules/*.yml"]
    assert config["global"]["external_labels"]["runbook"]
