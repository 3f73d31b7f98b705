"""The HTTP port of a service: metrics for Prometheus, health for Kubernetes."""

from __future__ import annotations

from typing import Self

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from shared.errors import ConfigurationError


class HealthServer:
    """Serves ``/metrics``, ``/healthz`` (the event loop turns), ``/readyz`` (events are read).

    Health never depends on another service: a pod must not be restarted because storage is away.

    Raises:
        ConfigurationError: on entering, when the port cannot be had.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self.ready = False
        self._host = host
        self._port = port
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", make_aiohttp_handler(registry)),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                [f"METRICS_PORT: cannot listen on port {self._port}: {error.strerror}"]
            ) from error
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self.ready:
            return web.Response(text="ready\n")
        return web.Response(text="not ready\n", status=503)
