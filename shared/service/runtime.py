"""The life of a service: start, report health, read its hub, drain on SIGTERM.

A draining service is not ready, takes up nothing new, finishes the work in hand, flushes its
checkpoints, releases its partitions, and exits 0. One that is still starting just exits 0. A second
signal ends it at once. A service that has failed (`shared.service.health`) drains in the same way
and exits 1.

While a dependency is unavailable, a service waits, not ready, and resumes by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeVar

import structlog
from prometheus_client import CollectorRegistry

from shared.contracts.errors import TransientError
from shared.hubs.consumer import Consumer
from shared.hubs.delivery import Handler
from shared.service.checkpoints import HubPositions, prepare
from shared.service.clients import AzureClients
from shared.service.health import Health, health_server
from shared.service.settings import ServiceSettings, load, refusing
from shared.service.storage_clock import StorageClock
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.tasks.rounds import in_rounds
from shared.tasks.waits import first_of
from shared.telemetry import logs, tracing
from shared.telemetry.metrics import ServiceMetrics, WorkMetrics, process_registry

log = structlog.get_logger()
S = TypeVar("S", bound=ServiceSettings)
M = TypeVar("M", bound=WorkMetrics)

_CLOSING_S: Final = 10.0
_ANSWER_S: Final = 5.0

Probe = Callable[[], Awaitable[None]]
"""Returns when a dependency answers, raises `TransientError` when it does not."""


def _nothing_to_leave() -> None:
    """Serve as the ``drain`` of services that finish whatever they have in hand."""


@dataclass(frozen=True, slots=True)
class Service:
    """What a service brings to the runtime.

    ``container`` is one in the pipeline's own account that it cannot do without. ``drain`` is
    called once when the shutdown begins: work in hand that has not started is left to others.
    ``finish`` returns when nothing is in hand any more. ``probes`` check, by name, the dependencies
    other than the hub and that account.
    """

    consumer: Consumer
    finish: Callable[[], Awaitable[None]]
    container: str
    probes: Mapping[str, Probe] = field(default_factory=dict)
    drain: Callable[[], None] = _nothing_to_leave


Build = Callable[[S, AzureClients, M, Health], Coroutine[None, None, Service]]


def reader(
    hub: str,
    handler: Handler,
    settings: ServiceSettings,
    blobs: BlobStore,
    clients: AzureClients,
    metrics: WorkMetrics,
    health: Health,
) -> Consumer:
    """Return a consumer that feeds the events of ``hub`` to ``handler``, as ``settings`` say."""
    return Consumer(
        functools.partial(clients.consumer, hub),
        HubPositions(blobs, settings, hub),
        handler,
        checkpoint_interval_s=settings.checkpoint_interval_s,
        patience_s=settings.consumer_patience_s,
        metrics=metrics.reading(hub),
        on_unrecoverable=health.fail,
    )


def main(
    name: str,
    settings_type: type[S],
    new_metrics: Callable[[CollectorRegistry], M],
    build: Build[S, M],
) -> NoReturn:
    """Run a service as this process until a signal ends it.

    Exits 0 after draining, 1 when the service cannot go on, 2 on wrong configuration, with every
    problem on stderr.
    """
    health = Health()
    with refusing(name):
        settings = load(settings_type)
        logs.configure(settings.log_level, settings.log_format, name)
        with tracing.exporting(name, settings.otel_exporter_otlp_endpoint):
            finished = asyncio.run(_run(settings, new_metrics, build, health))
    if health.failed.is_set() or not finished:
        # A thread that hangs, or is not done yet, would hold up an orderly exit.
        os._exit(int(health.failed.is_set()))
    sys.exit(0)


async def _run(
    settings: S,
    new_metrics: Callable[[CollectorRegistry], M],
    build: Build[S, M],
    health: Health,
) -> bool:
    """Run a service to its end; return False if it had to leave work unfinished."""
    stop, finished = stop_on_signals(), True
    registry = process_registry()
    metrics = new_metrics(registry)
    async with (
        health_server(settings.metrics_host, settings.metrics_port, registry, health),
        AzureClients(settings) as clients,
    ):
        # It may wait for storage, which must not hold up the end.
        building = asyncio.create_task(build(settings, clients, metrics, health))
        await first_of(asyncio.wait({building}), stop.wait())
        if building.done():
            service = building.result()
            finished = await _serve(service, settings, clients, metrics, health, stop)
        else:
            building.cancel()
            await asyncio.gather(building, return_exceptions=True)
    log.info("stopped")
    return finished


async def _serve(
    service: Service,
    settings: ServiceSettings,
    clients: AzureClients,
    metrics: WorkMetrics,
    health: Health,
    stop: asyncio.Event,
) -> bool:
    """Read the service's hub until it is to stop or has failed; return what `_drain` does."""
    blobs = BlobStore(await clients.storage())
    clock = StorageClock(await clients.last_answer(service.container), settings.ownership_expiry_s)
    probes: dict[str, Probe] = {
        "event hubs": service.consumer.reach,
        "storage": await clients.probe(blobs, service.container),
        "clock": clock.check,
        **service.probes,
    }
    reading = asyncio.create_task(_read(service.consumer, blobs, settings, health, Retry(metrics)))
    probing = asyncio.create_task(
        in_rounds(
            "probes",
            settings.probe_interval_s,
            lambda: probe(probes, health, metrics),
            metrics.background_failed,
        )
    )
    await first_of(asyncio.wait({reading}), stop.wait(), health.failed.wait())
    health.serving = False
    probing.cancel()
    finished = True
    if not reading.done():
        finished = await _drain(service, settings.drain_timeout_s)
        reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    return finished


async def _read(
    consumer: Consumer, blobs: BlobStore, settings: ServiceSettings, health: Health, retry: Retry
) -> None:
    await retry(consumer.reach)

    async def positions() -> int:
        return await prepare(await consumer.client(), blobs, settings)

    await retry(positions)
    health.serving = True
    log.info("ready")
    await consumer.run()


async def probe(probes: Mapping[str, Probe], health: Health, metrics: ServiceMetrics) -> None:
    """Ask every dependency whether it answers; readiness depends on this."""
    problems = await asyncio.gather(*map(_problem, probes.values()))
    for dependency, problem in zip(probes, problems, strict=True):
        health.report(dependency, problem)
        metrics.dependency(dependency, up=problem is None)


async def _problem(probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            await probe()
    except TransientError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {_ANSWER_S:g} s"
    except Exception as error:  # an unforeseen answer must not end the probing
        return f"{type(error).__name__}: {error}"
    return None


async def _drain(service: Service, timeout_s: float) -> bool:
    """Let a service finish its work in hand; return whether it has, in time."""
    log.info("draining")
    # Connections to unreachable hubs can take minutes to close; a pod has a grace period.
    asyncio.get_running_loop().call_later(timeout_s + _CLOSING_S, os._exit, 1)
    service.consumer.drain()
    service.drain()
    try:
        await asyncio.wait_for(service.finish(), timeout_s)
    except TimeoutError:
        log.warning("unfinished work abandoned; another instance will redo it")
        return False
    return True


def stop_on_signals() -> asyncio.Event:
    """Return an event set by the first SIGTERM or Ctrl-C; a second one ends the process at once."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return stop
