"""Clients of storage use the environment's proxy, and nothing else of the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient

from local.account import create_containers
from shared.storage.accounts import storage_client

KEY = "a2V5"
ANSWER = (
    b'HTTP/1.1 %d OK\r\nx-ms-version: 2021-12-02\r\nETag: "0x1"\r\n'
    b"Last-Modified: Fri, 27 Nov 2026 12:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
)


class Server:
    """Answers every request alike, and notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, *_ = head.split()
                self.asked.append(target.decode())
                writer.write(ANSWER % (201 if method == b"PUT" else 200))
        except asyncio.IncompleteReadError:
            writer.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async with await asyncio.start_server(server.serve, "127.0.0.1") as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Threads(ThreadPoolExecutor):
    """The loop's threads, and how often they were asked for something."""

    used = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self.used += 1
        return super().submit(*args, **kwargs)


async def test_a_request_asks_no_thread_for_anything(server: Server) -> None:
    threads = Threads()
    asyncio.get_running_loop().set_default_executor(threads)
    async with _account(f"http://127.0.0.1:{server.port}/account") as account:
        await account.get_container_client("frames").get_container_properties()
    assert server.asked == ["/account/frames?restype=container"]
    assert threads.used == 0


async def test_a_proxy_that_the_environment_names_is_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    async with _account("http://storage.example/account") as account:
        await account.get_container_client("frames").get_container_properties()
    assert server.asked == ["http://storage.example/account/frames?restype=container"]


async def test_a_host_that_the_environment_excepts_is_reached_without_the_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "0.0.0.0")
    async with _account(f"http://0.0.0.0:{server.port}/account") as account:
        await account.get_container_client("frames").get_container_properties()
    assert server.asked == ["/account/frames?restype=container"]


async def test_this_machine_is_reached_without_a_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with _account(f"http://127.0.0.1:{server.port}/account") as account:
        await account.get_container_client("frames").get_container_properties()
    await create_containers(_connection(f"http://127.0.0.1:{server.port}/account"), ["jobs"])
    assert server.asked == [f"/account/{name}?restype=container" for name in ("frames", "jobs")]


def _account(endpoint: str) -> BlobServiceClient:
    return storage_client(_connection(endpoint), None, None)


def _connection(endpoint: str) -> str:
    fields = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={KEY};"
    return f"{fields}BlobEndpoint={endpoint};"
