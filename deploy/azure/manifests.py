"""Where azd's hooks leave the manifests of an environment, for ``kubectl apply -k`` to take.

They are a copy: what is committed under deploy/kubernetes keeps its examples, and environments do
not get in each other's way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]

IMAGES: Final = "images/kustomization.yaml"
"""Which images to run: written by `configure`, then by `images` once they are built."""


def folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of an environment's manifests, beside what azd itself keeps of it."""
    return ROOT / ".azure" / environment["AZURE_ENV_NAME"] / "kubernetes"


def write_json(path: Path, kustomization: dict[str, Any]) -> None:
    """Write a kustomization; JSON is YAML, too, and needs no package."""
    kind = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kind | kustomization, indent=2) + "\n", encoding="utf-8")
