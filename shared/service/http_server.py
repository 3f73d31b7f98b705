"""HTTP servers of services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from shared.contracts.errors import ConfigurationError


@asynccontextmanager
async def listening(
    runner: web.AppRunner, host: str, port: int, variable: str
) -> AsyncIterator[None]:
    """Serve the application of ``runner`` while the context is open.

    Raises:
        ConfigurationError: on entering, if the port, which the setting ``variable`` names, is not
            available.
    """
    await runner.setup()
    try:
        await _listen(runner, host, port, variable)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, variable: str) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigurationError(
            [f"{variable}: cannot listen on port {port} of {host}: {error.strerror}"]
        ) from error
