"""Builds all overlays with kustomize and checks every manifest strictly against its schema.

Needs the tools of ``scripts/check-deploy``::

    python -m deploy.kubernetes.schemas build/kubernetes

Kubernetes' own kinds are checked against the oldest and the newest version named below, those of
KEDA and of the Prometheus operator against models generated from their definitions. An API server
silently drops fields that a definition does not have; here they are errors.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import cloudcoil.models.keda.v1alpha1 as keda  # type: ignore[import-not-found]
import cloudcoil.models.prometheus_operator.v1 as prometheus  # type: ignore[import-not-found]
import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-not-found]
import yaml

from deploy.kubernetes.definitions import definition

ROOT: Final = Path(__file__).resolve().parents[2]
OVERLAYS: Final = ROOT / "deploy/kubernetes/overlays"
DASHBOARDS: Final = ROOT / "deploy/monitoring"
VERSIONS: Final = ("1.31", "1.37")

# The versions that the validator knows; it accepts anything else unchecked.
OWN: Final = {"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "policy/v1"}
MODELS: Final[dict[tuple[str, str], Any]] = {
    ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): keda.TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PodMonitor"): prometheus.PodMonitor,
}

# Azure's managed Prometheus has the operator's kinds in a group of its own.
OPERATORS: Final = "monitoring.coreos.com"
AZURES: Final = "azmonitoring.coreos.com"

Schema = dict[str, Any]


def main() -> None:
    """Build and check; exit 1 on any problem."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    write_definitions(out / "definitions")
    found: list[str] = []
    overlays = sorted(path.parent for path in OVERLAYS.glob("*/kustomization.yaml"))
    for folder in (*overlays, DASHBOARDS):
        built = build(folder)
        manifests = [manifest for manifest in yaml.safe_load_all(built) if manifest]
        problems = [problem for manifest in manifests for problem in check(manifest)]
        print(f"{folder.name}: {len(manifests)} manifests, {len(problems)} problems")
        found += [f"{folder.name}: {problem}" for problem in problems]
        if folder is not DASHBOARDS:
            (out / f"{folder.name}.yaml").write_text(built, encoding="utf-8")
    sys.exit("\n".join(found) or 0)


def write_definitions(folder: Path) -> None:
    """Write the custom resource definitions, as a cluster has them."""
    folder.mkdir(exist_ok=True)
    definitions = [
        definition(version.replace(OPERATORS, AZURES), kind, model.model_json_schema())
        for (version, kind), model in MODELS.items()
    ]
    text = yaml.safe_dump_all(definitions, sort_keys=False)
    (folder / "definitions.yaml").write_text(text, encoding="utf-8")


def build(folder: Path) -> str:
    """Return the manifests that ``kubectl apply -k`` would send."""
    kubectl = Path(sys.executable).with_name("kubectl")
    built = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False
    )
    if built.returncode:
        sys.exit(f"{folder.name}: kustomize: {built.stderr.strip()}")
    return built.stdout


def check(manifest: dict[str, Any]) -> list[str]:
    """Return a sentence for each problem of a manifest."""
    version = manifest["apiVersion"].replace(AZURES, OPERATORS)
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if model := MODELS.get((version, kind)):
        validator = jsonschema.Draft202012Validator(closed(model.model_json_schema()))
        return [
            f"{kind} {name}: {error.json_path}: {error.message}"
            for error in validator.iter_errors(manifest | {"apiVersion": version})
        ]
    if version not in OWN:
        return [f"{kind} {name}: no schema of {version} is at hand"]
    return [problem for release in VERSIONS for problem in _check_own(manifest, release)]


def _check_own(manifest: dict[str, Any], version: str) -> list[str]:
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(map(str, error.path))
        return [
            f"{manifest['kind']} {manifest['metadata']['name']}: Kubernetes {version}: "
            f"{path}: {error.message}"
        ]
    return []


def closed(schema: Schema) -> Schema:
    """Return a schema that allows only the fields that it names."""
    result = {key: _closed_value(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        result.setdefault("additionalProperties", False)
    return result


def _closed_value(value: Any) -> Any:
    if isinstance(value, dict):
        return closed(value)
    if isinstance(value, list):
        return [_closed_value(item) for item in value]
    return value


if __name__ == "__main__":
    main()
