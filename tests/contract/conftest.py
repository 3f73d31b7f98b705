"""A real Azurite and a real broker, started once for all contract tests that ask for them."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from ports import unused_port

from local import azurite
from local.processes import Command, Supervised
from local.readiness import LineReady, TcpReady

ROOT = Path(__file__).resolve().parents[2]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def storage_connection(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The connection string of a running Azurite."""
    directory, port = tmp_path_factory.mktemp("azurite"), unused_port()
    process = Supervised(
        Command(
            name="azurite",
            argv=azurite.command_line(port, directory / "blobs"),
            environment={"PATH": os.environ["PATH"]},
            log=directory / "azurite.log",
            ready=TcpReady(port),
        )
    )
    await process.start()
    yield azurite.connection_string(port)
    await process.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def eventhub_connection(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The connection string of a running broker with the hubs that the services use."""
    async with broker(tmp_path_factory.mktemp("eventhubs")) as connection:
        yield connection


@asynccontextmanager
async def broker(directory: Path, port: int = 0) -> AsyncIterator[str]:
    """Run a broker and yield its connection string."""
    ready = LineReady("ready ")
    hubs = ("uploads:2", "frames:4", "segments:2")
    process = Supervised(
        Command(
            name="eventhubs",
            argv=(
                *(sys.executable, "-m", "local.eventhubs", "--port", str(port)),
                *("--data", str(directory / "hubs")),
                *(word for hub in hubs for word in ("--hub", hub)),
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
