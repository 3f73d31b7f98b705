"""A stack with two stylizers, once for all tests in this package: one process runs them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from e2e.conftest import Pipeline, running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def pipeline(tmp_path_factory) -> AsyncIterator[Pipeline]:
    """The stack, with each request to its storage in the log of that."""
    async with running(tmp_path_factory.mktemp("e2e"), 2, tells_requests=True) as pipeline:
        yield pipeline
