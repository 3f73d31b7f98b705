"""The alerts: each asks for figures that there are, is tried both ways, and tells what to do."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.contracts import codes
from shared.contracts.codes import FAILURE_CODES, OTHER

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "deploy/monitoring/rules"
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
SERVICES = ("splitter", "stylizer", "assembler")


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def trials() -> list[dict[str, Any]]:
    """Every expectation of promtool's tests."""
    return [
        trial
        for file in sorted((RULES / "tests").glob("*.yml"))
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for trial in test["alert_rule_test"]
    ]


by_alert = pytest.mark.parametrize("alert", rules())


@by_alert
def test_the_runbook_says_what_to_do_where_the_alert_points(alert: str) -> None:
    assert f"\n## {alert}\n" in RUNBOOK
    assert rules()[alert]["annotations"]["runbook"] == f"docs/runbook.md#{alert.lower()}"


@by_alert
def test_the_runbook_and_the_alert_agree_on_how_urgent_it_is(alert: str) -> None:
    section = RUNBOOK.split(f"\n## {alert}\n")[1].split("\n## ")[0]
    said = {"page": "*Page.*", "ticket": "*Ticket.*"}[rules()[alert]["labels"]["severity"]]
    assert section.strip().startswith(said)


@by_alert
def test_an_alert_is_tried_both_firing_and_silent(alert: str) -> None:
    expected = [bool(trial["exp_alerts"]) for trial in trials() if trial["alertname"] == alert]
    assert set(expected) == {True, False}


@by_alert
def test_every_figure_asked_for_is_one_that_a_service_gives(alert: str, figures: set[str]) -> None:
    asked = set(re.findall(rf"\b(?:{'|'.join(SERVICES)}|stylestream)_\w+", rules()[alert]["expr"]))
    assert asked
    assert asked <= figures


def test_the_runbook_speaks_of_no_alert_that_there_is_not() -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == set(rules())


def test_every_code_that_is_called_our_own_fault_can_occur() -> None:
    patterns = re.findall(r'code=~"([^"]+)"', rules()["StylestreamOwnFault"]["expr"])
    assert len(patterns) == len(SERVICES)
    for alternative in re.findall(r"(?:\([^)]*\)|[^|(])+", "|".join(patterns)):
        assert any(re.fullmatch(alternative, code) for code in FAILURE_CODES | {OTHER}), alternative


def test_what_goes_wrong_after_the_split_is_our_own_fault_and_an_uploads_content_is_not() -> None:
    patterns = re.findall(r'code=~"([^"]+)"', rules()["StylestreamOwnFault"]["expr"])
    ours = {code for code in FAILURE_CODES if re.fullmatch("|".join(patterns), code)}
    assert ours >= codes._CHUNKS | codes._RESULTS
    styles = {"NO_STYLE_NETWORK", "STYLE_CHANGED", "STYLE_UNREADABLE"}
    assert ours & (codes._SOURCES | codes._REQUESTS) == {"SPLITTER_ERROR"} | styles


@by_alert
def test_azures_prometheus_takes_the_expression_too(alert: str) -> None:
    assert "__name__" not in rules()[alert]["expr"]


def test_every_code_that_the_runbook_names_can_occur() -> None:
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", RUNBOOK))
    settings = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs/deploy.md").read_text()))
    assert named
    assert named - settings <= FAILURE_CODES


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
