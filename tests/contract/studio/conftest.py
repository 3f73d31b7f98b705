"""A studio with containers of its own."""

from __future__ import annotations

import pytest_asyncio
from browsers import browser
from studio_bench import opened

__all__ = ["browser", "studio"]


@pytest_asyncio.fixture(loop_scope="session")
async def studio(storage_connection):
    async with opened(storage_connection) as running:
        yield running
