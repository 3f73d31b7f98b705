"""Services that run in a test's own loop, or in a process of their own."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, Process
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


@asynccontextmanager
async def python_process(*arguments: str, env: dict[str, str]) -> AsyncIterator[Process]:
    """Start Python with ``arguments`` and nothing but ``env``; leaving kills what still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=env, stdout=DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
