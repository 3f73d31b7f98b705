"""The dashboards: the files are what the code generates, and query existing metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from assembler.metrics import AssemblerMetrics
from deploy.monitoring.generate import DASHBOARDS, FOLDER
from deploy.monitoring.grafana import Dashboard, Panel
from deploy.monitoring.health import STAGES
from splitter.metrics import SplitterMetrics
from stylizer.metrics import StylizerMetrics

ROOT = Path(__file__).resolve().parents[3]
PROVISIONING = ROOT / "deploy/compose/grafana"

METRICS = {"splitter": SplitterMetrics, "stylizer": StylizerMetrics, "assembler": AssemblerMetrics}
GPU_OVERLAY = ROOT / "deploy/kubernetes/overlays/gpu/kustomization.yaml"

by_file = pytest.mark.parametrize("file", DASHBOARDS)


def panels(dashboard: Dashboard) -> list[Panel]:
    return [panel for row in dashboard.rows for panel in row.panels]


def loaded(file: str) -> dict[str, Any]:
    form: dict[str, Any] = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    return form


@by_file
def test_the_committed_file_is_what_the_code_writes(file: str) -> None:
    committed = (FOLDER / file).read_text(encoding="utf-8")
    assert committed == DASHBOARDS[file].to_json(), "run: python -m deploy.monitoring.generate"


@by_file
def test_every_panel_says_what_it_shows_and_in_which_unit(file: str) -> None:
    for panel in loaded(file)["panels"]:
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["description"].endswith("."), panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["targets"], panel["title"]


@by_file
def test_no_panel_covers_another(file: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in loaded(file)["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert all(x < 24 for x, _ in cells), panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@by_file
def test_every_metric_queried_is_one_that_a_service_exposes(file: str, figures: set[str]) -> None:
    for panel in panels(DASHBOARDS[file]):
        for query in panel.queries:
            asked = re.findall(r"\b(?:splitter|stylizer|assembler|web|stylestream)_\w+", query.expr)
            assert set(asked) <= figures, panel.title


@by_file
def test_every_variable_is_used_and_every_one_used_is_there(file: str) -> None:
    dashboard = DASHBOARDS[file]
    built_in = {"__rate_interval", "__range", "__range_s"}
    used = {
        name
        for panel in panels(dashboard)
        for query in panel.queries
        for name in re.findall(r"\$(\w+)", query.expr)
    }
    assert used - built_in == {variable.name for variable in dashboard.variables}


def test_addresses_of_dashboards_never_change() -> None:
    assert {file: loaded(file)["uid"] for file in DASHBOARDS} == {
        "throughput.json": "stylestream-throughput",
        "pipeline-health.json": "stylestream-health",
        "scaling-cost.json": "stylestream-scaling",
        "service-levels.json": "stylestream-levels",
        "studio.json": "stylestream-studio",
    }


@pytest.mark.parametrize("service", STAGES)
def test_there_is_a_heatmap_for_every_stage_that_a_service_times(service: str) -> None:
    code = "".join(path.read_text() for path in (ROOT / service).rglob("*.py"))
    assert set(re.findall(r'\.timed\("(\w+)"', code)) == set(STAGES[service])
    begun = {
        sample.labels["stage"]
        for family in METRICS[service](CollectorRegistry())._stage.collect()
        for sample in family.samples
    }
    assert begun == set(STAGES[service])


def test_grafana_finds_its_source_and_the_dashboards(compose: dict[str, dict[str, Any]]) -> None:
    services = compose["docker-compose.yml"]["services"]
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/stylestream.yml").read_text())[
        "providers"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./deploy/compose/grafana"] == "/etc/grafana/provisioning"
    assert mounts["./deploy/monitoring/dashboards"] == provider["options"]["path"]


def test_a_grafana_in_the_cluster_gets_every_dashboard() -> None:
    kustomization = yaml.safe_load((FOLDER.parent / "kustomization.yaml").read_text())
    (config_map,) = kustomization["configMapGenerator"]
    assert config_map["files"] == [f"dashboards/{file}" for file in DASHBOARDS]
    assert config_map["options"]["labels"] == {"grafana_dashboard": "1"}


@by_file
def test_azures_prometheus_takes_every_expression(file: str) -> None:
    assert "__name__" not in (FOLDER / file).read_text(encoding="utf-8")


def test_the_threshold_offered_is_that_of_the_pool_on_gpus() -> None:
    (patch,) = [
        yaml.safe_load(patch["patch"])
        for patch in yaml.safe_load(GPU_OVERLAY.read_text())["patches"]
        if patch.get("target", {}).get("kind") == "ScaledObject"
    ]
    (threshold,) = [op["value"] for op in patch if op["path"].endswith("unprocessedEventThreshold")]
    (variable,) = [
        variable
        for variable in loaded("scaling-cost.json")["templating"]["list"]
        if variable["name"] == "threshold"
    ]
    assert variable["query"] == threshold


def test_the_documentation_names_every_metric_and_no_others(figures: set[str]) -> None:
    text = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    named = {
        name.replace("SERVICE", service)
        for name in re.findall(
            r"`((?:SERVICE|splitter|stylizer|assembler|exporter|web|stylestream)_\w+)`", text
        )
        for service in METRICS
    }
    there = {re.sub(r"_(bucket|sum|count)$", "", figure) for figure in figures}
    ours = {name for name in there if name.startswith(("stylestream", "exporter", *METRICS))}
    # What the studio counts as the services do is described with theirs.
    ours |= {
        name
        for name in there
        if name.startswith("web_") and name.replace("web", "splitter", 1) not in there
    }
    assert named == ours


def test_grafana_uses_the_interval_at_which_prometheus_scrapes() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())
    source = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())
    assert (
        source["datasources"][0]["jsonData"]["timeInterval"]
        == prometheus["global"]["scrape_interval"]
    )
