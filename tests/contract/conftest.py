"""A real Azurite for all contract tests that ask for it, and a real broker for each of them."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.blob.aio import BlobServiceClient
from azurites import azurite_process
from decoder_child import DECODERS
from hub_reader import Reader, reader_of
from ports import unused_port
from sdk_pauses import shorter_sdk_pauses

from local import azurite
from local.eventhubs import EventHubs
from local.processes import Command, Supervised
from local.readiness import LineReady
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

ROOT = Path(__file__).resolve().parents[2]
HUBS = {"uploads": 2, "frames": 4, "segments": 2}
Brokers = Callable[[], AbstractContextManager[str]]
"""Begins a broker, and gives its connection string."""


@pytest.fixture(scope="session", autouse=True)
def _shorter_sdk_pauses() -> Iterator[None]:
    with shorter_sdk_pauses():
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def _decoders() -> AsyncIterator[None]:
    yield
    await DECODERS.end()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def storage_connection(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The connection string of a running Azurite."""
    port = unused_port()
    process = azurite_process(tmp_path_factory.mktemp("azurite"), port)
    await process.start()
    yield azurite.connection_string(port)
    await process.stop()


@pytest.fixture(scope="session")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    """Runs brokers in a thread of their own: they answer whatever loop a test has, or none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def until_done(work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result()

    @contextmanager
    def run() -> Iterator[str]:
        hubs = EventHubs(tmp_path_factory.mktemp("eventhubs"), hubs=HUBS)
        until_done(hubs.__aenter__())
        try:
            yield hubs.connection_string
        finally:
            until_done(hubs.__aexit__(None, None, None))

    yield run
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def eventhub_connection(brokers: Brokers) -> Iterator[str]:
    """The connection string of a broker with the hubs that the services use.

    Each test has its own: nobody reads, counts or waits for what another test has sent.
    """
    with brokers() as connection:
        yield connection


@asynccontextmanager
async def broker(
    directory: Path, port: int = 0, hubs: Mapping[str, int] = HUBS
) -> AsyncIterator[str]:
    """Run a broker as a process of its own and yield its connection string."""
    ready = LineReady("ready ")
    process = Supervised(
        Command(
            name="eventhubs",
            argv=(
                *(sys.executable, "-m", "local.eventhubs", "--port", str(port)),
                *("--data", str(directory / "hubs")),
                *(word for hub, count in hubs.items() for word in ("--hub", f"{hub}:{count}")),
            ),
            environment={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            log=directory / "eventhubs.log",
            ready=ready,
        )
    )
    await process.start()
    try:
        yield ready.find(process.output) or ""
    finally:
        await process.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def reader(storage_connection: str, eventhub_connection: str) -> AsyncIterator[Reader]:
    """A reader in a group of its own, of a broker of its own."""
    async with BlobServiceClient.from_connection_string(storage_connection) as blobs:
        yield await reader_of(storage_connection, eventhub_connection, blobs)


@pytest_asyncio.fixture(loop_scope="session")
async def blobs(storage_connection: str) -> AsyncIterator[BlobStore]:
    async with storage_client(storage_connection, None, None) as client:
        yield BlobStore(client)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often blobs were read, by name."""
    counts, read = Counter[str](), BlobStore.read

    async def counted(self: BlobStore, container: str, name: str) -> bytes | None:
        counts[name] += 1
        return await read(self, container, name)

    monkeypatch.setattr(BlobStore, "read", counted)
    return counts


@pytest_asyncio.fixture(loop_scope="session")
async def container(storage_connection: str) -> str:
    name = f"t{uuid.uuid4().hex[:8]}"
    async with storage_client(storage_connection, None, None) as client:
        await client.create_container(name)
    return name
