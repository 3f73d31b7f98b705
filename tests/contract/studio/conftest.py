"""A studio on containers of its own."""

from __future__ import annotations

import pytest_asyncio
from studio_bench import opened


@pytest_asyncio.fixture(loop_scope="session")
async def studio(storage_connection):
    async with opened(storage_connection) as running:
        yield running
