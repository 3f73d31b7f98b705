"""Kubernetes manifests as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

Manifest = Mapping[str, Any]


def read_environment(path: Path) -> dict[str, str]:
    """Read a file of NAME=value lines like kustomize's generator."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@dataclass(frozen=True, slots=True)
class Manifests:
    """The manifests of an overlay, or of some of its files."""

    documents: tuple[Manifest, ...]

    @classmethod
    def read(cls, *paths: Path) -> Self:
        """Read YAML files with any number of documents each."""
        return cls(
            tuple(
                document
                for path in paths
                for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
                if document
            )
        )

    def of(self, *kinds: str) -> list[Manifest]:
        """Return the manifests of the given kinds."""
        return [document for document in self.documents if document["kind"] in kinds]

    def find(self, kind: str, name: str) -> Manifest | None:
        """Return a manifest by its name; None if there is none."""
        return next((m for m in self.of(kind) if name_of(m) == name), None)

    def templates(self) -> Iterator[tuple[str, Manifest]]:
        """Yield every pod template with the name of its Deployment or Job."""
        for manifest in self.of("Deployment", "Job"):
            yield name_of(manifest), manifest["spec"]["template"]

    def containers(self) -> Iterator[tuple[str, Manifest]]:
        """Yield every container with the name of its Deployment or Job."""
        for name, template in self.templates():
            for group in ("initContainers", "containers"):
                for container in template["spec"].get(group, ()):
                    yield name, container

    def config(self, name: str) -> dict[str, str]:
        """Return a ConfigMap's values; its name may end with a hash of them."""
        for manifest in self.of("ConfigMap"):
            if name_of(manifest) == name or name_of(manifest).startswith(f"{name}-"):
                return dict(manifest["data"])
        return {}

    def environment(self, container: Manifest) -> dict[str, str]:
        """Return a container's variables; those from secrets have a made-up value."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            found |= self.config(source["configMapRef"]["name"].split("-")[0])
        for variable in container.get("env", ()):
            found[variable["name"]] = variable.get("value", f"secret-for-{variable['name']}")
        return found


def name_of(manifest: Manifest) -> str:
    """Return a manifest's name."""
    return str(manifest["metadata"]["name"])


def quantity(text: str) -> float:
    """Return a Kubernetes quantity as a number.

    >>> quantity("512Mi"), quantity("250m"), quantity("2")
    (536870912.0, 0.25, 2.0)
    """
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "m": 1e-3, "k": 1e3, "M": 1e6}
    for unit, factor in units.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)
