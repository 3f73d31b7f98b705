"""The deployment's files, read once."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pynvml
import pytest
import yaml
from azd_environment import OUTPUTS
from azure_cli import Az
from prometheus_client import CollectorRegistry

from assembler.metrics import AssemblerMetrics
from deploy.azure import bicep, configure, manifests
from exporter.metrics import ExporterMetrics
from splitter.metrics import SplitterMetrics
from stylizer.metrics import StylizerMetrics
from stylizer.painting.gpu import GpuCollector
from web.metrics import WebMetrics

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def compose() -> dict[str, dict[str, Any]]:
    """Every compose file by its name, as data."""
    files = [ROOT / "docker-compose.yml", *sorted((ROOT / "deploy/compose").glob("*.yml"))]
    return {
        file.name: yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in files
        if file.name != "prometheus.yml"
    }


@pytest.fixture(scope="session")
def services(compose: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The services of docker-compose.yml."""
    return compose["docker-compose.yml"]["services"]


@pytest.fixture(scope="session")
def stages() -> dict[str, list[tuple[str, str]]]:
    """The Dockerfile's stages, each with its (instruction, argument) pairs."""
    text = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, list[tuple[str, str]]] = {"": []}
    current = found[""]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            instruction, _, argument = line.strip().partition(" ")
            if instruction == "FROM":
                current = found.setdefault(argument.split(" AS ")[1], [])
            current.append((instruction, argument.strip()))
    return found


@pytest.fixture(scope="session")
def prepare() -> ModuleType:
    """The set-up container's script, as a module."""
    path = ROOT / "deploy/compose/prepare.py"
    spec = importlib.util.spec_from_file_location("deploy_compose_prepare", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return Az(tmp_path / "bin")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """azd's environment after provisioning; returns where its manifests are written."""
    for name, value in OUTPUTS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(manifests, "ROOT", tmp_path)
    monkeypatch.setattr(configure, "ROOT", tmp_path)
    return tmp_path / ".azure/painting/kubernetes"


@pytest.fixture(scope="session")
def modules() -> dict[str, bicep.File]:
    """The modules of Bicep by their paths below main.bicep."""
    folder = ROOT / "deploy/azure/modules"
    return {f"modules/{path.name}": bicep.read(path) for path in sorted(folder.glob("*.bicep"))}


@pytest.fixture(scope="session")
def figures() -> set[str]:
    """The name of every time series that the services give."""
    registry = CollectorRegistry()
    registry.register(GpuCollector(pynvml, "stylizer"))
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        family.name + ending
        for families in (registry, *_registries())
        for family in families.collect()
        for ending in endings[family.type]
    } | {
        # The exporter's have no value before something was seen.
        metric._name
        for metric in vars(ExporterMetrics(CollectorRegistry())).values()
    }


def _registries() -> Iterator[CollectorRegistry]:
    for metrics, hub in (
        (SplitterMetrics, "uploads"),
        (StylizerMetrics, "frames"),
        (AssemblerMetrics, "segments"),
    ):
        registry = CollectorRegistry()
        metrics(registry).reading(hub)
        yield registry
    registry = CollectorRegistry()
    WebMetrics(registry)
    yield registry
