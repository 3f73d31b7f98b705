"""Where azd's hooks write the manifests of an environment, for ``kubectl apply -k``.

They are a copy, so that the committed files keep their examples and environments do not affect each
other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]

IMAGES: Final = "images/kustomization.yaml"
"""Names the images to run: written by `configure`, and by `images` once they are built."""

UNBUILT: Final = "not-built-yet"


def folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of an environment's manifests, beside azd's own files."""
    return ROOT / ".azure" / environment["AZURE_ENV_NAME"] / "kubernetes"


def image_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of an environment's images, in the order in which they are built."""
    return ("splitter", "assembler", "exporter", "web", stylizer_image(environment))


def stylizer_image(environment: Mapping[str, str]) -> str:
    """Return the name of the stylizer's image for this environment's machines."""
    return f"stylizer-{environment['STYLIZER_POOL']}"


def write_images(environment: Mapping[str, str], tag: str) -> None:
    """Write which images to run."""
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
    """Write a kustomization as JSON, which is valid YAML and needs no package."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
