"""Fills in the manifests for the resources just created: azd's postprovision hook.

Copies deploy/kubernetes into the environment's folder and writes the environment's namespace,
accounts and identities into the copy. ``kubectl apply -k .azure/NAME/kubernetes`` does the rest. ::

    python3 -m deploy.azure.configure        # in azd's environment
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.azure.manifests import IMAGES, ROOT, UNBUILT, folder, write_images, write_json

MANIFESTS: Final = ROOT / "deploy/kubernetes"
DEVICE_PLUGIN: Final = ROOT / "deploy/azure/kubernetes/device-plugin.yaml"
LAYOUT: Final = Path(__file__).parent / "layout.json"

# Variables of the manifests that have other names among the deployment's outputs.
RENAMED: Final = {
    "STORAGE_ACCOUNT": "INTERNAL_STORAGE_ACCOUNT",
    "WEB_PUBLIC_URL": "STUDIO_URL",
    "ENTRA_TENANT_ID": "AZURE_TENANT_ID",
    "ENTRA_CLIENT_ID": "STUDIO_CLIENT_ID",
}

# Variables that the example file may lack.
ALSO: Final = ("STYLES_CONTAINER",)

# Outputs of every deployment. Their examples in the file must be replaced.
REQUIRED: Final = (
    "EVENTHUB_FULLY_QUALIFIED_NAMESPACE",
    "STORAGE_ACCOUNT_URL",
    "MEDIA_STORAGE_ACCOUNT_URL",
    "EVENTGRID_TOPIC_ENDPOINT",
    "CONSUMER_GROUP",
    "STYLES_CONTAINER",
    "INTERNAL_STORAGE_ACCOUNT",
    "SPLITTER_CLIENT_ID",
    "STYLIZER_CLIENT_ID",
    "ASSEMBLER_CLIENT_ID",
    "EXPORTER_CLIENT_ID",
    "KEDA_CLIENT_ID",
    "AZURE_CONTAINER_REGISTRY_ENDPOINT",
    "STYLIZER_POOL",
    "STYLIZER_MAX_REPLICAS",
    "AZURE_ENV_NAME",
)

# Outputs and parameters that a studio needs.
REQUIRED_BY_STUDIO: Final = ("STUDIO_URL", "STUDIO_CLIENT_ID", "WEB_CLIENT_ID", "AZURE_TENANT_ID")


def main() -> None:
    """Write the manifests, or exit with 1 and the names of all missing outputs."""
    if missing := [name for name in REQUIRED if not os.environ.get(name)]:
        sys.exit(f"configure: run it through azd; these are not set: {', '.join(missing)}")
    missing = [name for name in REQUIRED_BY_STUDIO if not os.environ.get(name)]
    if has_studio(os.environ) and missing:
        sys.exit(f"configure: STUDIO=true needs {', '.join(missing)}: see docs/studio.md")
    print(f"configure: wrote {configure(os.environ).relative_to(ROOT)}")


def configure(environment: Mapping[str, str]) -> Path:
    """Write the manifests of an environment; return their folder."""
    target = folder(environment)
    images = target / IMAGES
    built = images.read_bytes() if images.exists() else None
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(MANIFESTS, target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    kept = retention()
    filled: list[tuple[str, tuple[str, ...]]] = [("azure/config.env", (*ALSO, *kept))]
    filled.append(("azure/identities.env", ()))
    if has_studio(environment):
        filled += [("studio-azure/studio.env", ()), ("studio-azure/identity.env", ())]
    for name, also in filled:
        file = target / name
        text = filled_in(file.read_text(encoding="utf-8"), {**environment, **kept}, also)
        file.write_text(text, encoding="utf-8")
    shutil.copy(DEVICE_PLUGIN, target)
    write_json(target / "kustomization.yaml", _kustomization(environment))
    # What is already running stays until `images` has built something newer.
    write_images(environment, UNBUILT)
    if built is not None:
        images.write_bytes(built)
    return target


def retention() -> dict[str, str]:
    """Return the exporter's variables that say how many hours each hub keeps its events."""
    hubs = json.loads(LAYOUT.read_text(encoding="utf-8"))["hubs"]
    return {f"{hub['name'].upper()}_RETENTION_H": str(hub["retentionHours"]) for hub in hubs}


def has_studio(environment: Mapping[str, str]) -> bool:
    """Return whether this environment has a studio."""
    return environment.get("STUDIO") == "true"


def filled_in(text: str, environment: Mapping[str, str], also: tuple[str, ...]) -> str:
    """Return a file of variables with this environment's values where it has any."""
    lines = []
    also = tuple(name for name in also if f"\n{name}=" not in f"\n{text}")
    for line in text.splitlines():
        name, separator, example = line.partition("=")
        if separator and not line.startswith("#"):
            value = environment.get(RENAMED.get(name, name)) or example
            lines.append(f"{name}={value}")
        else:
            lines.append(line)
    lines += [f"{name}={environment[name]}" for name in also]
    return "\n".join(lines) + "\n"


def _kustomization(environment: Mapping[str, str]) -> dict[str, object]:
    # More stylizers than machines would wait forever for a machine.
    most = {
        "op": "replace",
        "path": "/spec/maxReplicaCount",
        "value": int(environment["STYLIZER_MAX_REPLICAS"]),
    }
    pool = environment["STYLIZER_POOL"]
    # In main.bicep, PRIVATE_NETWORK also creates the endpoints that are then the only way out.
    chosen = {"webhook": "WEBHOOK", "private": "PRIVATE_NETWORK", "studio-azure": "STUDIO"}
    components = [name for name, flag in chosen.items() if environment.get(flag) == "true"]
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"overlays/{pool}", *([DEVICE_PLUGIN.name] if pool == "gpu" else [])],
        "components": ["images", *components],
        "patches": [
            {
                "target": {"kind": "ScaledObject", "name": "stylizer"},
                "patch": json.dumps([most]),
            }
        ],
    }


if __name__ == "__main__":
    main()
