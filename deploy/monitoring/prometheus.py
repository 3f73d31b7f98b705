"""Runs a real, temporary Prometheus with its data in one folder, and queries it over HTTP.

Needs the program ``prometheus`` (Debian's package of that name, or a release of the project).
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_START_S: Final = 30.0

Series = dict[str, Any]
"""A time series as in the HTTP API: ``metric``, and ``values`` as pairs of time and text."""


class QueryError(Exception):
    """An expression that Prometheus rejects."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str

    def query(self, expr: str, start_s: float, end_s: float, step_s: float) -> list[Series]:
        """Return an expression's series between two times, with a value every ``step_s`` seconds.

        Raises:
            QueryError: the expression is invalid, or fails on the data.
        """
        times = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        asked = urllib.parse.urlencode({"query": expr, **times})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{asked}") as answer:  # noqa: S310 - our own server
                return list(json.load(answer)["data"]["result"])
        except urllib.error.HTTPError as error:
            raise QueryError(json.load(error)["error"]) from error

    def targets_up(self) -> int:
        """Return how many targets were scraped successfully."""
        with urllib.request.urlopen(f"{self.url}/api/v1/targets") as answer:  # noqa: S310 - our own server
            targets = json.load(answer)["data"]["activeTargets"]
        return sum(target["health"] == "up" for target in targets)


def require() -> None:
    """Exit unless Prometheus and promtool are installed."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} missing: apt-get install prometheus")


@contextmanager
def running(folder: Path, config: str) -> Iterator[Prometheus]:
    """Run a server with its data in ``folder``, where a later one finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    port = unused_port()
    server = Prometheus(f"http://127.0.0.1:{port}")
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            _await_ready(server, process, folder / "prometheus.log")
            yield server
        finally:
            process.terminate()
            process.wait()


def _await_ready(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{server.url}/-/ready").close()  # noqa: S310 - our own server
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"prometheus did not start:\n{log.read_text()}")


def unused_port() -> int:
    """Return a port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
