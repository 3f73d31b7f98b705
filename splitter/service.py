"""Connects a splitter to the hubs, to storage and to its decoders."""

from __future__ import annotations

import asyncio
from typing import Final

from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.workers import Workers
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobStore
from shared.storage.retry import Retry
from shared.storage.work_folders import sweep_work_folders
from shared.styles.download import fetch_styles
from shared.styles.gallery import open_gallery
from shared.tasks.rounds import in_rounds
from splitter.decoder.forks import ForkServer
from splitter.decoder.selftest import check_sandbox
from splitter.intake.acceptance import Acceptance
from splitter.intake.forwarding import Intake
from splitter.intake.webhook import Webhook
from splitter.loop import Splitter
from splitter.metrics import SplitterMetrics
from splitter.overlooked import Overlooked
from splitter.settings import SplitterSettings
from splitter.shipping import Outlets

# Videos in hand at once. Those that wait take 30 KiB each (measured): together 600 MiB, which fit
# beside the decoders into the memory of the pods and containers that we ship.
_OPEN: Final = 20_000


async def build(
    settings: SplitterSettings, clients: AzureClients, metrics: SplitterMetrics, health: Health
) -> Service:
    """Connect a splitter."""
    decoders = await clients.keep(ForkServer())
    outcome = await check_sandbox(decoders, required=settings.sandbox == "required")
    metrics.sandbox(outcome.layers)
    await asyncio.to_thread(sweep_work_folders, settings.work_dir)
    blobs = BlobStore(await clients.storage())
    outlets = Outlets(
        decoders,
        blobs,
        frames=await clients.publisher(settings.frames_hub),
        segments=await clients.publisher(settings.segments_hub),
        metrics=metrics,
        retry=Retry(metrics),
    )
    settings = await fetch_styles(settings, blobs, outlets.retry)
    gallery = open_gallery(settings.styles_dir, settings.default_style)
    account_url = (await clients.media_blobs()).url
    acceptance = Acceptance(settings, account_url)
    if settings.webhook_port is not None:
        intake = Intake(await clients.sender(settings.uploads_hub))
        await clients.keep(Webhook(settings, acceptance, intake, metrics))

    async def check_released() -> None:
        await consumer.check_released()

    splitter = Splitter(settings, acceptance, gallery, outlets, check_released)
    letters = DeadLetters(blobs, settings.dead_letters_container, settings.uploads_hub)
    dead_lettering = DeadLettering(letters, metrics, health.report)
    workers = Workers(_OPEN, splitter.split, dead_lettering, metrics)

    uploads, leaving = await clients.publisher(settings.uploads_hub), asyncio.Event()
    overlooked = Overlooked(settings, acceptance, account_url, splitter.openings, blobs, uploads)
    failed = metrics.background_failed
    looking = asyncio.create_task(
        in_rounds(
            "uploads", overlooked.interval_s, overlooked.announce_missed, failed, until=leaving
        )
    )

    def drain() -> None:
        workers.drain()
        splitter.slots.drain()
        leaving.set()

    async def finish() -> None:
        await asyncio.gather(workers.finish(), looking)

    consumer = reader(settings.uploads_hub, workers.take, settings, blobs, clients, metrics, health)
    return Service(
        consumer,
        finish,
        container=settings.frames_container,
        probes={"users' storage": await clients.probe(blobs, settings.uploads_container)},
        drain=drain,
    )
