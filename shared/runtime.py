"""The life of a service: start, report health, read its hub, drain on SIGTERM.

A draining service is not ready, takes up nothing new, finishes the work in hand, flushes its
checkpoints, releases its partitions, and exits 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol, TypeVar

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.aiohttp import make_aiohttp_handler

from shared import logs
from shared.azure import AzureClients
from shared.consumer import Consumer
from shared.errors import ConfigurationError
from shared.retry import retrying
from shared.settings import ServiceSettings, load

log = structlog.get_logger()
S = TypeVar("S", bound=ServiceSettings)


class Service(Protocol):
    """What a service brings to the runtime."""

    consumer: Consumer

    async def finish(self) -> None:
        """Return when the work in hand is finished; called after the consumer drains."""


Build = Callable[[S, AzureClients, CollectorRegistry], Awaitable[Service]]


def main(name: str, settings_type: type[S], build: Build[S]) -> NoReturn:
    """Run a service as this process until a signal ends it.

    Exits 0 after draining, 1 when the service cannot go on, 2 on wrong configuration, with every
    problem on stderr.
    """
    try:
        settings = load(settings_type)
    except ConfigurationError as error:
        _refuse(name, error)
    logs.configure(settings.log_level, settings.log_format, name)
    try:
        asyncio.run(_run(name, settings, build))
    except ConfigurationError as error:
        _refuse(name, error)
    sys.exit(0)


def _refuse(name: str, error: ConfigurationError) -> NoReturn:
    for problem in error.problems:
        print(f"{name}: {problem}", file=sys.stderr)
    sys.exit(2)


async def _run(name: str, settings: S, build: Build[S]) -> None:
    registry = _registry()
    stop = _stop_on_signals()
    async with AzureClients(settings) as clients:
        health = await _serve_http(settings, registry)
        try:
            service = await build(settings, clients, registry)
            await _read_until(stop, service, health, settings.drain_timeout_s)
        finally:
            await health.close()
    log.info("stopped")


async def _read_until(
    stop: asyncio.Event, service: Service, health: _Health, drain_timeout_s: float
) -> None:
    reading = asyncio.create_task(_read(service.consumer, health))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    health.ready = False
    if not reading.done():
        await _drain(service, drain_timeout_s)
        reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    if not reading.cancelled() and (error := reading.exception()):
        raise error


async def _read(consumer: Consumer, health: _Health) -> None:
    await retrying(consumer.reach, on_retry=_note_waiting)
    health.ready = True
    log.info("ready")
    await consumer.run()


def _note_waiting(error: BaseException) -> None:
    log.warning("waiting for Event Hubs", error=str(error))


async def _drain(service: Service, timeout_s: float) -> None:
    log.info("draining")
    service.consumer.drain()
    try:
        await asyncio.wait_for(service.finish(), timeout_s)
    except TimeoutError:
        log.warning("work in hand abandoned; another instance will do it again")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Health:
    """The HTTP port: /metrics, /healthz (the event loop turns) and /readyz (events are being read)."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self.ready = False

    async def close(self) -> None:
        await self._runner.cleanup()


async def _serve_http(settings: ServiceSettings, registry: CollectorRegistry) -> _Health:
    app = web.Application()
    runner = web.AppRunner(app, access_log=None)
    health = _Health(runner)

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        if health.ready:
            return web.Response(text="ready\n")
        return web.Response(text="not ready\n", status=503)

    app.add_routes(
        [
            web.get("/metrics", make_aiohttp_handler(registry)),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
        ]
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.metrics_host, settings.metrics_port).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigurationError(
            [f"METRICS_PORT: cannot listen on port {settings.metrics_port}: {error.strerror}"]
        ) from error
    return health
