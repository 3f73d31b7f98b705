"""Prints the software bill of materials of an image, as CycloneDX 1.6.

``python sbom.py [environment [root [libraries.json]]]``; the defaults are an image's. Besides the
Python packages, including CUDA's, it lists the shared libraries inside wheels, such as FFmpeg, x264
and x265, and the packages of the base image: a scanner that sees only the names of Python packages
would miss every vulnerability in those.
"""

# ruff: noqa: INP001 - a script of the image's build, in no package

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from email import message_from_string
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote

LICENCES: Final = "/usr/share/licenses/stylestream/libraries.json"

# libavcodec-5e6b81c2.so.62.28.102, as auditwheel names what it puts into a wheel.
_BUNDLED: Final = re.compile(r"(?P<name>.+?)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>[\d.]+))?")


def main(environment: str = "/opt/venv", root: str = "/", licences: str = LICENCES) -> None:
    """Print the bill of materials of ``environment`` and of the system below ``root``."""
    projects = json.loads(Path(licences).read_text(encoding="utf-8"))
    print(json.dumps(bill(Path(environment), Path(root), projects), indent=1))


def bill(environment: Path, root: Path, projects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the bill; the same packages always give the same bill.

    ``projects`` has each project's libraries, their licence and their source.
    """
    (site,) = environment.glob("lib/python3*/site-packages")
    components = [
        component
        for distribution in distributions(path=[str(site)])
        for component in (_package(distribution), *_libraries(distribution, projects))
    ]
    components += _system_packages(root)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": sorted(components, key=lambda one: one["bom-ref"]),
    }


def _package(distribution: Distribution) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", distribution.name).lower()
    purl = f"pkg:pypi/{name}@{distribution.version}"
    component = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": distribution.version,
        "purl": purl,
    }
    if "License-Expression" not in distribution.metadata:
        return component
    return component | {"licenses": [{"expression": distribution.metadata["License-Expression"]}]}


def _libraries(
    distribution: Distribution, projects: dict[str, dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the third-party shared libraries inside a package."""
    project_of = {library: name for name, one in projects.items() for library in one["libraries"]}
    for path in distribution.files or ():
        found = _BUNDLED.fullmatch(path.name)
        if found is None or not PurePosixPath(path).parts[0].endswith(".libs"):
            continue
        project = project_of.get(found["name"])
        component = {
            "type": "library",
            "bom-ref": f"{distribution.name}/{path.name}",
            "group": project or distribution.name,
            "name": found["name"],
            "version": found["version"] or "",
            "description": f"shared library in the wheel of {distribution.name}",
        }
        if project:
            component["licenses"] = [{"expression": projects[project]["licence"]}]
            component["externalReferences"] = [
                {"type": "source-distribution", "url": projects[project]["source"]}
            ]
        yield component


def _system_packages(root: Path) -> Iterator[dict[str, Any]]:
    """Yield the system packages of a Debian or Ubuntu base image."""
    status = root / "var/lib/dpkg/status"
    if not status.exists():
        return
    release = dict(
        line.replace('"', "").split("=", 1)
        for line in (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
        if "=" in line
    )
    system, of = release["ID"], f"{release['ID']}-{release.get('VERSION_ID', '')}"
    for paragraph in status.read_text(encoding="utf-8").strip().split("\n\n"):
        package = message_from_string(paragraph)
        if not str(package["Status"]).endswith(" installed"):
            continue
        name, version, machine = (package[key] for key in ("Package", "Version", "Architecture"))
        purl = f"pkg:deb/{system}/{quote(name)}@{quote(version)}?arch={machine}&distro={of}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "group": system,
            "name": name,
            "version": version,
            "purl": purl,
        }


if __name__ == "__main__":
    main(*sys.argv[1:])
