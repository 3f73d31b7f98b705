"""Messages for users whom storage refuses, and where the command line looks for things."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob.aio import BlobServiceClient

from cli.main import main
from client.account import Containers, _FailFastRetry, find_account
from client.local_stack import StackState
from local.workspace import Workspace

SECRET = "c2VjcmV0"
SOON_S = 20.0
"""On a busy machine; the services' own clients would retry for half a minute or more."""


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("STORAGE_", "MEDIA_", "EVENTHUB_", "AZURE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def connection_string(port: int) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={SECRET};"
        f"BlobEndpoint=http://127.0.0.1:{port}/a"
    )


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Run a command; return its exit code and its one line on stderr."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    return ended.value.code, line


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STORAGE_CONNECTION_STRING", f"garbage {SECRET}"),
        ("MEDIA_STORAGE_CONNECTION_STRING", f"AccountKey={SECRET}"),
        ("STORAGE_ACCOUNT_URL", "https://"),
    ],
)
def test_a_setting_that_names_no_account_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    code, line = told(capsys, "status")
    assert code == 2
    assert variable in line
    assert "such as" in line
    assert SECRET not in line


@pytest.mark.parametrize("command", [("status",), ("link", "upload", "x.mp4")])
def test_where_nobody_is_signed_in_the_remedy_comes_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: tuple[str, ...],
) -> None:
    # Of all the ways to sign in the one that is not installed: no network is asked.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("STORAGE_ACCOUNT_URL", "https://a.blob.core.windows.net")
    began = time.monotonic()
    code, line = told(capsys, *command)
    assert time.monotonic() - began < SOON_S
    assert code == 1
    assert "run 'az login'" in line
    assert "docs/security.md" in line


def test_where_nothing_listens_the_remedy_comes_soon(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unused_port: int
) -> None:
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", connection_string(unused_port))
    began = time.monotonic()
    code, line = told(capsys, "status")
    assert time.monotonic() - began < SOON_S
    assert code == 1
    assert f"storage does not answer at 127.0.0.1:{unused_port}" in line
    assert "'stylestream up'" in line


@asynccontextmanager
async def storage(port: int) -> AsyncIterator[None]:
    """Respond on a port that the blob does not exist."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Gone\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def test_storage_that_has_answered_once_is_waited_for_longer(unused_port: int) -> None:
    retries: list[object] = []
    policy = _FailFastRetry(initial_backoff=0, increment_base=0, random_jitter_range=0)
    async with BlobServiceClient.from_connection_string(
        connection_string(unused_port), retry_policy=policy
    ) as client:
        blob = client.get_blob_client("uploads", "x.mp4")
        with pytest.raises(ServiceRequestError):
            await blob.exists(retry_hook=lambda **_: retries.append("never there"))
        async with storage(unused_port):
            assert not await blob.exists()
        with pytest.raises(ServiceRequestError):
            await blob.exists(retry_hook=lambda **_: retries.append("gone"))
    assert retries.count("never there") == 1
    assert retries.count("gone") > 1


async def test_containers_are_named_as_for_the_services_but_a_local_stack_has_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STORAGE_CONNECTION_STRING", connection_string(1))
    monkeypatch.setenv("UPLOADS_CONTAINER", "inbox")
    monkeypatch.setenv("RESULTS_CONTAINER", "")
    monkeypatch.setenv("JOBS_CONTAINER", "records")
    assert find_account(None).containers == Containers("inbox", "results", "records")

    workspace = Workspace(tmp_path / "stack")
    await workspace.claim()
    workspace.write(
        StackState(
            state="running",
            port_block=workspace.port(0),
            supervisor=os.getpid(),
            storage_connection_string=connection_string(1),
            eventhub_connection_string="",
            endpoints={},
            processes={},
        )
    )
    try:
        assert find_account(tmp_path / "stack").containers == Containers()
    finally:
        workspace.release()
