"""A service's health, and the HTTP port that serves it to Kubernetes and metrics to Prometheus.

Three different questions. *Live*: is it worth keeping this process running? It stops being so only
because of the service itself, when a lane hangs or a consumer stays silent; never because of a
dependency, or a pool would be restarted while storage is unavailable. *Ready*: does it do its work
now? Not while it starts or drains, nor while a dependency is unavailable. *Failed* is final: the
service drains and exits 1, and its supervisor starts another.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from shared.service.http_server import listening

log = structlog.get_logger()


class Health:
    """The state behind ``/healthz`` and ``/readyz``."""

    def __init__(self) -> None:
        self.serving = False
        """Whether the service takes up events: true between its start and its drain."""
        self.failed = asyncio.Event()
        self._failure: str | None = None
        self._away: dict[str, str] = {}

    def report(self, dependency: str, problem: str | None) -> None:
        """Note what is wrong with a dependency; None if it answers."""
        before = self._away.pop(dependency, None)
        if problem is not None:
            self._away[dependency] = problem
        if (before is None) != (problem is None):
            if problem is not None:
                log.warning("dependency unavailable", dependency=dependency, problem=problem)
            else:
                log.info("dependency available again", dependency=dependency)

    def fail(self, reason: str) -> None:
        """Give the process up: it drains and exits, so that another can take its place."""
        if self._failure is None:
            self._failure = reason
            log.error("service failed", reason=reason)
            self.failed.set()

    @property
    def live(self) -> tuple[bool, str]:
        """Whether the process should go on, and a sentence that says why."""
        return self._failure is None, self._failure or "ok"

    @property
    def ready(self) -> tuple[bool, str]:
        """Whether the service does its work now, and a sentence that says why."""
        if not self.serving:
            return False, "starting or draining"
        problems = [f"{name}: {problem}" for name, problem in self._away.items()]
        return not problems, "; ".join(problems) or "ready"


def health_server(
    host: str, port: int, registry: CollectorRegistry, health: Health
) -> AbstractAsyncContextManager[None]:
    """Return a server of /metrics, /healthz (live) and /readyz (ready); see `listening`."""

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(*health.live)

    async def readyz(_request: web.Request) -> web.Response:
        return _answer(*health.ready)

    app = web.Application()
    app.add_routes(
        [
            web.get("/metrics", make_aiohttp_handler(registry)),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
        ]
    )
    return listening(web.AppRunner(app, access_log=None), host, port, "METRICS_PORT")


def _answer(good: bool, sentence: str) -> web.Response:
    return web.Response(text=f"{sentence}\n", status=200 if good else 503)
