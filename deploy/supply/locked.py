"""Writes ``requirements/locked/``: the version of every package, with the hashes of its files.

The images install these files with ``pip --require-hashes``, and so does ``scripts/setup``, so that
tests run with the packages of the images. The files name no index: each machine may use its own.
They have the hashes of every wheel of a version, for all systems; ``machines.txt`` lists the
Pythons and systems for which every package has a wheel. ::

    python -m deploy.supply.locked              # after a change of requirements/
    python -m deploy.supply.locked --upgrade    # to the newest versions; then run the tests
    python -m deploy.supply.locked --check      # exit 1 if the files are not what is asked for
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
REQUIREMENTS: Final = ROOT / "requirements"
EXCLUDED: Final = REQUIREMENTS / "excluded.txt"
OLDEST_PYTHON: Final = "3.11"

TWINS: Final = ("onnxruntime", "onnxruntime-gpu")
"""One engine in two packages: tests on CPUs must run with the version that GPUs have."""

HEADING: Final = "# Written by python -m deploy.supply.locked. Do not edit.\n"


@dataclass(frozen=True, slots=True)
class Layer:
    """Packages that are installed together, on top of other layers."""

    files: tuple[str, ...]
    base: tuple[str, ...] = ()


LAYERS: Final[Mapping[str, Layer]] = {
    "pip": Layer(("pip",)),
    "build": Layer(("build",)),
    "services": Layer(("services", "tracing")),
    "cpu": Layer(("cpu",), ("services",)),
    "gpu": Layer(("gpu",), ("services",)),
    "local": Layer(("local",), ("services",)),
    "node": Layer(("node",)),
    "test": Layer(("test",), ("build", "services", "cpu", "local", "node")),
}

TO_RUN: Final = ("build", "services", "cpu", "local", "node")
"""The layers of a checkout that runs the one-machine stack."""
TO_TEST: Final = (*TO_RUN, "test")

PYTHONS: Final = (OLDEST_PYTHON, "3.12", "3.13", "3.14")
PLATFORMS: Final[Mapping[tuple[str, str], str]] = {
    ("Linux", "x86_64"): "x86_64-unknown-linux-gnu",
    ("Linux", "aarch64"): "aarch64-unknown-linux-gnu",
    ("Darwin", "arm64"): "aarch64-apple-darwin",
    ("Darwin", "x86_64"): "x86_64-apple-darwin",
}
"""uv's names of platforms, by the system and processor of Python's ``platform``."""
OLDEST_MACOS: Final = "14.0"

Pins = dict[str, str]
"""The lines of each package: its version, or several for different Pythons, and hashes."""


class SupplyError(Exception):
    """A tool is missing or failed; the message says which and why."""


def main() -> None:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply.locked", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    asked = parser.parse_args()
    try:
        files = lock(upgrade=asked.upgrade)
    except SupplyError as error:
        sys.exit(f"locked: {error}")
    stale = [name for name, text in files.items() if read(name) != text]
    if asked.check and stale:
        sys.exit(
            f"locked: {', '.join(stale)} below requirements/locked are not what requirements/ asks "
            "for; run: python -m deploy.supply.locked"
        )
    for name in stale:
        path(name).parent.mkdir(exist_ok=True)
        path(name).write_text(files[name], encoding="utf-8")
    print(f"locked: {len(files)} files, {len(stale)} of them new")


def lock(*, upgrade: bool) -> dict[str, str]:
    """Return the text of each layer's file, and of the list of machines.

    Raises:
        SupplyError: uv is missing, or finds no compatible versions.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, twins = Path(folder, "whole.txt"), Path(folder, "twins.txt")
        whole.write_text("".join("" if upgrade else read(name) for name in LAYERS))
        twins.write_text("")
        pins = resolve(LAYERS, whole, twins)
        if together := same_version(pins):
            twins.write_text("".join(f"{name}=={together}\n" for name in TWINS))
            pins = resolve(LAYERS, whole, twins)
        layers = {name: layer_text(name, pins, whole) for name in LAYERS}
        return layers | {"machines": HEADING + "".join(f"{each}\n" for each in machines(whole))}


def machines(whole: Path) -> Iterator[str]:
    """Yield the machines for which every locked package has a wheel; see `machine`."""
    for python in PYTHONS:
        for (system, processor), target in PLATFORMS.items():
            options = ("--python-version", python, "--python-platform", target)
            if not compiled(TO_TEST, *options, "--constraint", str(whole)).returncode:
                yield f"{python} {system} {processor}"


def layer_text(name: str, pins: Pins, whole: Path) -> str:
    """Return the packages that a layer adds to those below it."""
    base = LAYERS[name].base
    below = resolve(base, None, whole).keys() if base else set()
    added = resolve((*base, name), None, whole).keys() - below
    return HEADING + "".join(pins[package] for package in sorted(added))


def same_version(pins: Pins) -> str | None:
    """Return the version that both twins can have; None if they already have the same one."""
    versions: set[str] = {re.findall(r"==([^ ;]+)", pins[name])[0] for name in TWINS}
    if len(versions) == 1:
        return None
    return min(versions, key=lambda version: [int(part) for part in version.split(".")])


def resolve(layers: Iterable[str], output: Path | None, constraints: Path) -> Pins:
    """Let uv choose versions for layers, preferring those in ``output``, within ``constraints``.

    Raises:
        SupplyError: uv is missing, or finds none.
    """
    done = compiled(
        layers,
        # One version for all Pythons, if there is one.
        *("--universal", "--python-version", OLDEST_PYTHON, "--fork-strategy", "fewest"),
        *("--constraint", str(constraints)),
        *(("--generate-hashes", "--output-file", str(output)) if output else ()),
    )
    if done.returncode:
        raise SupplyError(f"uv found no versions: {done.stderr.strip()}")
    return parse(output.read_text() if output else done.stdout)


def compiled(layers: Iterable[str], *options: str) -> subprocess.CompletedProcess[str]:
    """Let uv resolve the requirements of layers; no package may be built from source.

    Raises:
        SupplyError: uv is missing.
    """
    files = [f"{REQUIREMENTS}/{file}.txt" for layer in layers for file in LAYERS[layer].files]
    command = [uv(), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--only-binary", ":all:", "--excludes", str(EXCLUDED), *options, *files]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": OLDEST_MACOS}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def parse(text: str) -> Pins:
    """Split a requirements file by package.

    >>> parse("numpy==2.4.6 --hash=sha256:0")
    {'numpy': 'numpy==2.4.6 --hash=sha256:0'}
    """
    pins: Pins = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if found := re.match(r"[\w.-]+(?===)", line):
            name = found[0]
        if name and not line.startswith("#"):
            pins[name] = pins.get(name, "") + line
    return pins


def uv() -> str:
    """Return the path of uv.

    Raises:
        SupplyError: it is not installed.
    """
    ours = ROOT / ".venv-deploy/bin/uv"
    if found := (str(ours) if ours.exists() else shutil.which("uv")):
        return found
    raise SupplyError("uv is needed: scripts/check-deploy installs it, and so does pip install uv")


def machine() -> str:
    """Return this Python, system and processor, as ``machines.txt`` lists them."""
    python = ".".join(platform.python_version_tuple()[:2])
    return f"{python} {platform.system()} {platform.machine()}"


def path(layer: str) -> Path:
    """Return the path of a layer's file."""
    return REQUIREMENTS / "locked" / f"{layer}.txt"


def read(layer: str) -> str:
    """Return the text of a layer's file; empty if there is none."""
    return path(layer).read_text(encoding="utf-8") if path(layer).exists() else ""


if __name__ == "__main__":
    main()
