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

UNBUILT: Final = "not-built-yet"


def folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of an environment's manifests, beside what azd itself keeps of it."""
    return ROOT / ".azure" / environment["AZURE_ENV_NAME"] / "kubernetes"


def image_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of an environment's images; the stylizer's last, which is built last."""
    return ("splitter", "assembler", "exporter", "web", stylizer_image(environment))


def stylizer_image(environment: Mapping[str, str]) -> str:
    """Return the name of the image that paints on this environment's machines."""
    return f"stylizer-{environment['STYLIZER_POOL']}"


def write_images(environment: Mapping[str, str], tag: str) -> None:
    """Name the images to run."""
    registry = environment["AZURE_CONTAINER_REGISTRY_ENDPOINT"]
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [
            {
                "name": f"localhost/stylestream/{name}",
                "newName": f"{registry}/stylestream/{name}",
                "newTag": tag,
            }
            for name in image_names(environment)
        ],
    }
    write_json(folder(environment) / IMAGES, component)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a kustomization; JSON is YAML, too, and needs no package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
