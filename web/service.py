"""The life of a studio: open storage and a port, answer requests, and stop on SIGTERM.

It processes no events, so stopping is simple: it is no longer ready, ends open streams, answers the
requests in progress, and exits 0.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, NoReturn

import structlog
from aiohttp import web

from shared.service.clients import StorageClients
from shared.service.health import Health, health_server
from shared.service.http_server import listening
from shared.service.runtime import Probe, probe, stop_on_signals
from shared.service.settings import load, refusing
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.styles.download import fetch_styles
from shared.tasks.rounds import in_rounds
from shared.telemetry import logs, tracing
from shared.telemetry.metrics import process_registry
from web.application import application
from web.metrics import WebMetrics
from web.settings import WebSettings
from web.studio import Studio

log = structlog.get_logger()

NAME: Final = "web"


def main() -> NoReturn:
    """Run a studio as this process until a signal ends it.

    Exits 0 after answering the requests in progress, 2 on wrong configuration, with every problem
    on stderr.
    """
    with refusing(NAME):
        settings = load(WebSettings)
        logs.configure(settings.log_level, settings.log_format, NAME)
        with tracing.exporting(NAME, settings.otel_exporter_otlp_endpoint):
            asyncio.run(_run(settings))
    raise SystemExit(0)


async def _run(settings: WebSettings) -> None:
    stop = stop_on_signals()
    registry = process_registry()
    metrics = WebMetrics(registry)
    health = Health()
    async with (
        health_server(settings.metrics_host, settings.metrics_port, registry, health),
        StorageClients(settings) as clients,
    ):
        blobs = BlobStore(await clients.storage())
        settings = await fetch_styles(settings, blobs, Retry(metrics))
        studio = Studio.of(settings, blobs, await clients.media_blobs(), metrics)
        probes: dict[str, Probe] = {
            "storage": await clients.probe(blobs, settings.segments_container),
            "users' storage": await clients.probe(blobs, settings.uploads_container),
        }
        runner = web.AppRunner(
            application(studio), access_log=None, shutdown_timeout=settings.drain_timeout_s
        )
        with contextlib.closing(studio.previews):
            async with listening(runner, settings.web_host, settings.web_port, "WEB_PORT"):
                health.serving = True
                log.info("ready", port=settings.web_port)
                await in_rounds(
                    "probes",
                    settings.probe_interval_s,
                    lambda: probe(probes, health, metrics),
                    metrics.background_failed,
                    until=stop,
                )
                health.serving = False
                log.info("draining")
                studio.close()
    log.info("stopped")
