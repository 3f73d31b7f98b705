"""Measures hubs and uploads periodically, and reports the results as metrics.

It never writes, owns no partition and stores nothing: any number of exporters may run, and one that
was restarted reports the same. What does not answer is reported as unavailable; its last metrics
stay, with the time when they were measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
from azure.eventhub.aio import EventHubConsumerClient
from prometheus_client import CollectorRegistry

from exporter.metrics import ExporterMetrics
from exporter.settings import ExporterSettings
from shared.contracts.errors import StylestreamError
from shared.service.backlog import Backlog, PartitionBacklog, measure_backlog, oldest_s
from shared.service.clients import AzureClients
from shared.service.health import Health, health_server
from shared.service.settings import load, refusing
from shared.storage.blobs import BlobStore
from shared.tasks.waits import is_cancelled
from shared.telemetry import logs
from shared.telemetry.metrics import process_registry

log = structlog.get_logger()

_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Reader:
    """A hub, the service that reads it, and how long it keeps events."""

    service: str
    hub: str
    retention_s: float


def readers(settings: ExporterSettings) -> tuple[Reader, ...]:
    """Return the hubs, each with the service that reads it."""
    return (
        Reader("splitter", settings.uploads_hub, settings.uploads_retention_h * _HOUR_S),
        Reader("stylizer", settings.frames_hub, settings.frames_retention_h * _HOUR_S),
        Reader("assembler", settings.segments_hub, settings.segments_retention_h * _HOUR_S),
    )


class HubWatch:
    """Measures one hub.

    The age of a waiting event is queried only once: while a partition's position does not move, its
    oldest waiting event stays the same.
    """

    def __init__(
        self,
        reader: Reader,
        client: EventHubConsumerClient,
        blobs: BlobStore,
        settings: ExporterSettings,
        metrics: ExporterMetrics,
    ) -> None:
        self._reader = reader
        self._client = client
        self._blobs = blobs
        self._settings = settings
        self._metrics = metrics
        self._oldest: dict[tuple[str, int], float] = {}
        self.newest_s: float | None = None
        """When the hub's newest event was enqueued, POSIX seconds; None while unknown."""

    async def measure(self) -> None:
        """Measure the hub's backlog once.

        Raises:
            TransientError: the hub or storage did not answer.
        """
        try:
            seen = await measure_backlog(self._client, self._blobs, self._settings)
        except Exception:
            self.newest_s = None
            raise
        self.newest_s = seen.newest_s
        age_s = await self._age_s(seen)
        self._metrics.hub(self._reader.service, seen, age_s, self._reader.retention_s)

    async def _age_s(self, seen: Backlog) -> float:
        waiting = [one for one in seen.partitions if one.waiting]
        oldest = await asyncio.gather(*map(self._oldest_s, waiting))
        keys = map(_key, waiting)
        self._oldest = dict(zip(keys, oldest, strict=True))
        return max(0.0, time.time() - min(oldest)) if oldest else 0.0

    async def _oldest_s(self, one: PartitionBacklog) -> float:
        known = self._oldest.get(_key(one))
        return await oldest_s(self._client, one) if known is None else known


def _key(one: PartitionBacklog) -> tuple[str, int]:
    return one.partition.id, one.reached


class UploadsWatch:
    """Looks for uploads that are newer than the newest event of the hub of uploads.

    Every upload is announced by an event that is enqueued after it. If there is no later event, the
    announcement is still on its way, which takes seconds, or will never come.
    """

    def __init__(
        self, hub: HubWatch, blobs: BlobStore, container: str, metrics: ExporterMetrics
    ) -> None:
        self._hub = hub
        self._blobs = blobs
        self._container = container
        self._metrics = metrics

    async def measure(self) -> None:
        """Measure once; without effect while the hub is unavailable.

        Raises:
            TransientError: storage did not answer.
        """
        # The time of creation, since changing metadata makes a version without an announcement. An
        # empty one is a folder, or a file that is about to be written.
        created = [blob.created_s async for blob in self._blobs.items(self._container) if blob.size]
        if (announced_s := self._hub.newest_s) is None:
            return
        waiting = [moment for moment in created if moment > announced_s]
        self._metrics.uploads(max(0.0, time.time() - min(waiting)) if waiting else 0.0)


def main() -> None:
    """Export until a signal arrives; exit 2 with every problem on stderr on wrong settings."""
    with refusing("exporter"):
        settings = load(ExporterSettings)
        logs.configure(settings.log_level, settings.log_format, "exporter")
        asyncio.run(_run(settings))


async def _run(settings: ExporterSettings) -> None:
    registry, health = process_registry(), Health()
    async with (
        health_server(settings.metrics_host, settings.metrics_port, registry, health),
        AzureClients(settings) as clients,
    ):
        exporting = asyncio.create_task(export(settings, clients, registry, health))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, exporting.cancel)
        log.info("ready")
        with contextlib.suppress(asyncio.CancelledError):
            await exporting
    log.info("stopped")


async def export(
    settings: ExporterSettings,
    clients: AzureClients,
    registry: CollectorRegistry,
    health: Health,
) -> None:
    """Measure everything at its interval until cancelled."""
    metrics = ExporterMetrics(registry)
    blobs = BlobStore(await clients.storage())
    hubs = [
        HubWatch(
            reader,
            await clients.keep(await clients.onlooker(reader.hub, settings.onlooker_group)),
            blobs,
            settings,
            metrics,
        )
        for reader in readers(settings)
    ]
    uploads = UploadsWatch(hubs[0], blobs, settings.uploads_container, metrics)
    health.serving = True

    async def every(interval_s: float, name: str, look: Callable[[], Awaitable[None]]) -> None:
        while not is_cancelled():
            problem = await _problem(look)
            health.report(name, problem)
            metrics.dependency(name, up=problem is None)
            await asyncio.sleep(interval_s)

    async with asyncio.TaskGroup() as group:
        for reader, hub in zip(readers(settings), hubs, strict=True):
            group.create_task(
                every(settings.look_interval_s, f"hub of {reader.service}", hub.measure)
            )
        group.create_task(every(settings.uploads_interval_s, "users' storage", uploads.measure))


async def _problem(look: Callable[[], Awaitable[None]]) -> str | None:
    try:
        await look()
    except StylestreamError as error:
        return str(error)
    except Exception as error:  # an unforeseen answer must not end the measuring
        log.error("check of hubs or uploads failed", exc_info=error)
        return f"{type(error).__name__}: {error}"
    return None
