"""Announces uploads in place of Event Grid, because Azurite raises no events.

It is a service like the others: configured by the same variables, with health and metrics on
METRICS_PORT, and SIGTERM ends it with exit code 0.
"""

# ruff: noqa: INP001 - a script of the image, in no package

from __future__ import annotations

import asyncio
import contextlib
import signal
from functools import partial

from local.watcher import UploadWatcher
from shared.contracts.errors import ConfigurationError
from shared.service.health import Health, health_server
from shared.service.settings import ServiceSettings, load, refusing
from shared.telemetry import logs
from shared.telemetry.metrics import process_registry


def main() -> None:
    """Watch until a signal arrives."""
    with refusing("watcher"):
        settings = load(ServiceSettings)
        logs.configure(settings.log_level, settings.log_format, "watcher")
        asyncio.run(_watch(settings))


async def _watch(settings: ServiceSettings) -> None:
    (storage, _), eventhub = settings.media_account, settings.eventhub_connection_string
    if storage is None or eventhub is None:
        raise ConfigurationError(
            ["only a local stack, with connection strings, needs a watcher: Azure has Event Grid"]
        )
    health = Health()
    watcher = UploadWatcher(
        storage.get_secret_value(),
        eventhub.get_secret_value(),
        uploads_container=settings.uploads_container,
        hub=settings.uploads_hub,
        report=partial(health.report, "uploads"),
    )
    async with health_server(
        settings.metrics_host, settings.metrics_port, process_registry(), health
    ):
        watching = asyncio.create_task(watcher.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, watching.cancel)
        health.serving = True
        with contextlib.suppress(asyncio.CancelledError):
            await watching


if __name__ == "__main__":
    main()
