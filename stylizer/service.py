"""Connects a stylizer to the hubs, to storage and to its engine."""

from __future__ import annotations

import asyncio

from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.workers import Workers
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.styles.download import fetch_styles
from stylizer.attempts.retrying import RetryingPainter
from stylizer.attempts.segments import open_engine, settle
from stylizer.loop import Stylizer
from stylizer.metrics import StylizerMetrics
from stylizer.painting.engine import Engine
from stylizer.settings import StylizerSettings


async def build(
    settings: StylizerSettings, clients: AzureClients, metrics: StylizerMetrics, health: Health
) -> Service:
    """Connect a stylizer, with its default style loaded.

    Raises:
        ConfigurationError: the device or a style that the settings ask for is not available.
    """
    blobs = BlobStore(await clients.storage())
    settings = await fetch_styles(settings, blobs, Retry(metrics))
    settings = await asyncio.to_thread(settle, settings)
    engine = open_engine(settings)
    await asyncio.to_thread(engine.load, settings.default_style)
    metrics.runs_on(settings.engine, engine.precision)
    metrics.offers(engine.styles)
    return await connect(settings, engine, clients, metrics, health)


async def connect(
    settings: StylizerSettings,
    engine: Engine,
    clients: AzureClients,
    metrics: StylizerMetrics,
    health: Health,
) -> Service:
    """Connect a stylizer that paints with ``engine``."""
    blobs = BlobStore(await clients.storage())
    segments = await clients.publisher(settings.segments_hub)
    painter = RetryingPainter(settings, blobs, engine, metrics, health)
    stylizer = Stylizer(settings, blobs, segments, painter, engine.version, metrics)
    letters = DeadLetters(blobs, settings.dead_letters_container, settings.frames_hub)
    dead_lettering = DeadLettering(letters, metrics, health.report)
    # For each chunk in a lane another is being fetched or stored, so that lanes never wait for I/O.
    workers = Workers(2 * settings.lane_count, stylizer.stylize, dead_lettering, metrics)

    def drain() -> None:
        workers.drain()
        painter.lanes.drain()

    consumer = reader(settings.frames_hub, workers.take, settings, blobs, clients, metrics, health)
    consumer.hand_over(settings.chunk_deadline_s)
    return Service(
        consumer,
        workers.finish,
        container=settings.segments_container,
        drain=drain,
    )
