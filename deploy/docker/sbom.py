"""Print the software bill of materials of a virtual environment, as CycloneDX 1.6.

``python sbom.py /opt/venv > sbom.cdx.json``. Beside the Python packages it lists the shared
libraries that wheels bring along: FFmpeg, x264 and x265 come that way, and a scanner that reads
package names alone would miss every fault that is found in them.
"""

# ruff: noqa: INP001 - a script of the image's build, in no package

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath
from typing import Any, Final

# libavcodec-5e6b81c2.so.62.28.102, as auditwheel names what it puts into a wheel.
_BUNDLED: Final = re.compile(r"(?P<name>.+?)(?:-[0-9a-f]{8})?\.so(?:\.(?P<version>[\d.]+))?")
_FFMPEG: Final = re.compile(r"lib(av(codec|device|filter|format|util)|sw(scale|resample))")
# Whose licence is not that of the wheel they are in.
_LICENCES: Final = {"libx264": "GPL-2.0-or-later", "libx265": "GPL-2.0-or-later"}


def main(environment: Path) -> None:
    """Print the bill of what is installed in ``environment``."""
    print(json.dumps(bill(environment), indent=1))


def bill(environment: Path) -> dict[str, Any]:
    """Return the bill; the same whenever it is made of the same packages."""
    (site,) = environment.glob("lib/python3*/site-packages")
    components = [
        component
        for distribution in distributions(path=[str(site)])
        for component in (_package(distribution), *_libraries(distribution))
    ]
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


def _libraries(distribution: Distribution) -> Iterator[dict[str, Any]]:
    """Yield the shared libraries of others that a package brings along."""
    for path in distribution.files or ():
        found = _BUNDLED.fullmatch(path.name)
        if found is None or not PurePosixPath(path).parts[0].endswith(".libs"):
            continue
        name, version = found["name"], found["version"] or ""
        yield {
            "type": "library",
            "bom-ref": f"{distribution.name}/{path.name}",
            "group": "FFmpeg" if _FFMPEG.match(name) else distribution.name,
            "name": name,
            "version": version,
            "description": f"shared library in the wheel of {distribution.name}",
            **({"licenses": [{"license": {"id": _LICENCES[name]}}]} if name in _LICENCES else {}),
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
