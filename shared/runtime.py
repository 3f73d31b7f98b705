"""The life of a service: start, report health, read its hub, drain on SIGTERM.

A draining service is not ready, takes up nothing new, finishes the work in hand, flushes its
checkpoints, releases its partitions, and exits 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

import structlog

from shared import logs
from shared.azure import AzureClients
from shared.consumer import Consumer
from shared.errors import ConfigurationError
from shared.health import HealthServer
from shared.metrics import WorkMetrics, process_registry
from shared.retry import Retry
from shared.settings import ServiceSettings, load

log = structlog.get_logger()
S = TypeVar("S", bound=ServiceSettings)

_CLOSING_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a service brings to the runtime: the hub it reads, and how to wait for work in hand."""

    consumer: Consumer
    finish: Callable[[], Awaitable[None]]


Build = Callable[[S, AzureClients, WorkMetrics], Awaitable[Service]]


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
    stop = _stop_on_signals()
    registry = process_registry()
    metrics = WorkMetrics(registry, name)
    async with (
        HealthServer(settings.metrics_host, settings.metrics_port, registry) as health,
        AzureClients(settings) as clients,
    ):
        service = await build(settings, clients, metrics)
        reading = asyncio.create_task(_read(service.consumer, health, Retry(metrics)))
        await _first_of(reading, stop)
        health.ready = False
        if not reading.done():
            await _drain(service, settings.drain_timeout_s)
            reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    log.info("stopped")


async def _first_of(reading: asyncio.Task[None], stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


async def _read(consumer: Consumer, health: HealthServer, retry: Retry) -> None:
    await retry(consumer.reach)
    health.ready = True
    log.info("ready")
    await consumer.run()


async def _drain(service: Service, timeout_s: float) -> None:
    log.info("draining")
    # Connections to hubs that are gone can take minutes to close; a pod has a grace period.
    asyncio.get_running_loop().call_later(timeout_s + _CLOSING_S, os._exit, 1)
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
