"""What tests of the decoder's process share: two processes that all their decoders fork from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from decoder_child import CHOSEN, SharedForkServer, stand_in_server

from splitter.decoder.forks import ForkServer

Forked = tuple[ForkServer, Path]
"""A server of stand-ins, and the file of the code that they run."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def decoders() -> AsyncIterator[ForkServer]:
    """What decoders are really forked from."""
    server = SharedForkServer()
    yield server
    await server.end()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Forked]:
    code = tmp_path_factory.mktemp("stand-in") / "code.py"
    async with stand_in_server(code) as server:
        yield server, code


@pytest.fixture(autouse=True)
def _chosen(decoders: ForkServer) -> Iterator[None]:
    CHOSEN[:] = [decoders]
    yield
    CHOSEN.clear()


@pytest.fixture
def stand_in(_chosen: None, stand_ins: Forked) -> Callable[[str], object]:
    """Put a few lines of Python in the decoder's place."""
    server, code = stand_ins

    def put(lines: str) -> None:
        code.write_text(lines)
        CHOSEN[:] = [server]

    return put


@pytest.fixture
def side(tmp_path: Path) -> Path:
    return tmp_path / "side"
