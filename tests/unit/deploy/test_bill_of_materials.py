"""What images say about their contents: bills of materials, and licences."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LICENCES = ROOT / "deploy/docker/licences"
PROJECTS: dict[str, dict[str, Any]] = json.loads((LICENCES / "libraries.json").read_text())

# As the package manager of the base lists them.
STATUS = """\
Package: libexpat1
Status: hold ok installed
Maintainer: Laszlo Boszormenyi (GCS) <gcs@debian.org>
Architecture: amd64
Version: 2.5.0-1+deb12u2
Description: XML parsing C library - runtime library
 This package contains the runtime, shared library of expat.

Package: libssl3
Status: install ok installed
Maintainer: Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>
Architecture: amd64
Version: 3.0.17-1~deb12u2

Package: gone
Status: deinstall ok config-files
Maintainer: Debian QA Group <packages@qa.debian.org>
Architecture: amd64
Version: 1
"""

Stages = dict[str, list[tuple[str, str]]]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("image")
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(STATUS)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n\nNAME="Debian"\n')
    script = str(ROOT / "deploy/docker/sbom.py")
    done = subprocess.run(
        [sys.executable, script, sys.prefix, root, str(LICENCES / "libraries.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    written: dict[str, Any] = json.loads(done.stdout)
    return written


@pytest.fixture
def components(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in bill["components"]}


def test_the_bill_is_cyclonedx_and_names_everything_once(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    references = [one["bom-ref"] for one in bill["components"]]
    assert len(references) == len({*references})


def test_the_bill_names_what_wheels_bring_along(components: dict[str, dict[str, Any]]) -> None:
    assert components["av"]["purl"].startswith("pkg:pypi/av@")
    assert components["libavcodec"]["group"] == "FFmpeg"
    assert components["libavcodec"]["version"].count(".") == 2
    for name in ("libx264", "libx265"):
        assert components[name]["licenses"] == [{"expression": "GPL-2.0-or-later"}]
        assert components[name]["externalReferences"][0]["type"] == "source-distribution"


def test_the_bill_names_the_packages_of_the_base(components: dict[str, dict[str, Any]]) -> None:
    assert components["libexpat1"]["version"] == "2.5.0-1+deb12u2"
    assert components["libssl3"]["group"] == "debian"
    assert components["libssl3"]["purl"] == (
        "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64&distro=debian-12"
    )
    assert "gone" not in components


def test_every_library_in_the_wheel_of_av_has_its_licence_and_source(
    bill: dict[str, Any],
) -> None:
    bundled = [one for one in bill["components"] if one["bom-ref"].startswith("av/")]
    assert len(bundled) > 20
    assert [one["name"] for one in bundled if "licenses" not in one] == []


def test_every_licence_that_is_named_comes_with_its_text() -> None:
    names = {name for one in PROJECTS.values() for name in one["licence"].split(" OR ")}
    for name in names:
        if found := re.fullmatch(r"(L?GPL)-(2\.0|2\.1|3\.0)-or-later|Apache-2\.0", name):
            file = f"{found[1]}-{found[2].removesuffix('.0')}" if found[1] else name
            assert (LICENCES / f"{file}.txt").stat().st_size > 5000, name
    for project, one in PROJECTS.items():
        text = (LICENCES / one["text"]).read_text(encoding="utf-8", errors="replace")
        assert re.search("copyright", text, re.IGNORECASE), project


@pytest.mark.parametrize(
    ("image", "builder"),
    [
        ("service", "packages"),
        ("stylizer-cpu", "packages-cpu"),
        ("web", "packages-cpu"),
        ("stylizer-gpu", "packages-gpu"),
        ("local", "packages-local"),
    ],
)
def test_every_image_holds_its_bill_and_the_licences(
    stages: Stages, image: str, builder: str
) -> None:
    base = stages[image][0][1].split(" AS ")[0]
    steps = [*stages.get(base, ()), *stages[image]]
    copied = steps.index(("COPY", f"--from={builder} /opt/venv /opt/venv"))
    made = [argument.split("> ")[-1] for _, argument in steps[copied + 1 : copied + 2]]
    assert made == ["/app/sbom.cdx.json"]
    licences = steps.index(("COPY", "deploy/docker/licences /usr/share/licenses/stylestream"))
    assert licences < copied, "the bill reads them"


def test_without_a_package_manager_the_bill_lists_only_python_packages(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.11/site-packages"
    site.mkdir(parents=True)
    environment = Path(sys.prefix)
    (installed,) = environment.glob("lib/python3*/site-packages/shtab-*.dist-info")
    shutil.copytree(installed, site / installed.name)
    script = str(ROOT / "deploy/docker/sbom.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, tmp_path, str(LICENCES / "libraries.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [one["name"] for one in json.loads(done.stdout)["components"]] == ["shtab"]
