"""Services that run in a test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.service.runtime import Service


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[None]:
    """Have a service read its hub; leaving ends it as SIGTERM does."""
    reading = asyncio.create_task(service.consumer.run())
    try:
        yield
    finally:
        service.consumer.drain()
        service.drain()
        await service.finish()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
