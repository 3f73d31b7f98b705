"""Dashboards are imported into a managed Grafana through its API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure_cli import Az

from deploy.azure import import_dashboards
from deploy.azure.import_dashboards import GrafanaError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Az:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return Az(tmp_path / "bin")


class Grafana(HTTPServer):
    """Grafana's import, on loopback: refuses a given number of times, then accepts everything."""

    refusals = 0
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Import)
        self.taken: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Import(BaseHTTPRequestHandler):
    server: Grafana

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.tokens.add(self.headers["Authorization"])
        status = self.server.status if self.path == "/api/dashboards/db" else 404
        if self.server.refusals:
            self.server.refusals -= 1
            status = 403
        if status == 200:
            self.server.taken.append(body)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"no such folder")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with Grafana() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_all_dashboards_are_imported_in_the_place_of_older_ones(
    az: Az,
    grafana: Grafana,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    az.answers(("account get-access-token", {"accessToken": "secret"}))
    monkeypatch.setenv("GRAFANA_ENDPOINT", grafana.endpoint)

    import_dashboards.main()

    committed = sorted((ROOT / "deploy/monitoring/dashboards").glob("*.json"))
    uids = [json.loads(file.read_text(encoding="utf-8"))["uid"] for file in committed]
    assert [body["dashboard"]["uid"] for body in grafana.taken] == uids
    assert all(body["overwrite"] for body in grafana.taken)
    assert grafana.tokens == {"Bearer secret"}
    assert az.calls[0][:4] == [
        "account",
        "get-access-token",
        "--resource",
        import_dashboards.AUDIENCE,
    ]
    assert "secret" not in capsys.readouterr().out


def test_a_role_that_is_not_known_yet_is_waited_for(grafana: Grafana, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"uid": "one"}')
    grafana.refusals = 3
    pauses: list[float] = []

    assert import_dashboards.import_all(grafana.endpoint, "secret", tmp_path, pauses.append) == 1
    assert len(pauses) == 3


def test_a_role_that_never_comes_ends_the_wait(grafana: Grafana, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"uid": "one"}')
    grafana.refusals = 1000
    pauses: list[float] = []

    with pytest.raises(GrafanaError, match="Grafana Admin"):
        import_dashboards.import_all(grafana.endpoint, "secret", tmp_path, pauses.append)
    assert sum(pauses) == import_dashboards.PATIENCE_S


def test_a_dashboard_that_grafana_refuses_is_reported_and_the_others_are_imported(
    az: Az,
    grafana: Grafana,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    az.answers(("account get-access-token", {"accessToken": "secret"}))
    grafana.status = 412
    monkeypatch.setenv("GRAFANA_ENDPOINT", grafana.endpoint)

    import_dashboards.main()

    assert "not imported: 412 no such folder" in capsys.readouterr().err


def test_without_a_grafana_there_is_nothing_to_import(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GRAFANA_ENDPOINT", raising=False)

    import_dashboards.main()

    assert "no Grafana" in capsys.readouterr().out
