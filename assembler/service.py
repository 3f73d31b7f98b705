"""Connects an assembler to the hubs and to storage."""

from __future__ import annotations

import asyncio

from assembler.announcements import open_announcements
from assembler.frames_hub import FramesHub
from assembler.loop import Assembler
from assembler.metrics import AssemblerMetrics
from assembler.segments_hub import SegmentsHub
from assembler.settings import AssemblerSettings
from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.dead_letters import DeadLetters
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.runtime import Service, reader
from shared.storage.blobs import BlobStore
from shared.storage.work_folders import sweep_work_folders


async def build(
    settings: AssemblerSettings, clients: AzureClients, metrics: AssemblerMetrics, health: Health
) -> Service:
    """Connect an assembler."""
    await asyncio.to_thread(sweep_work_folders, settings.work_dir)
    blobs = BlobStore(await clients.storage())
    frames = FramesHub(settings, blobs, await clients.publisher(settings.frames_hub))
    publisher = await clients.publisher(settings.segments_hub)
    announcements = await open_announcements(settings, clients, metrics)

    async def caught_up(partition_id: str | None) -> bool:
        return await consumer.caught_up(partition_id)

    letters = DeadLetters(blobs, settings.dead_letters_container, settings.segments_hub)
    dead_lettering = DeadLettering(letters, metrics, health.report)
    segments = SegmentsHub(publisher, caught_up)
    assembler = Assembler(settings, blobs, frames, segments, announcements, dead_lettering, metrics)
    consumer = reader(
        settings.segments_hub, assembler.take, settings, blobs, clients, metrics, health
    )
    consumer.on_released(assembler.release, assembler.hub_checked)
    return Service(
        consumer,
        assembler.finish,
        container=settings.segments_container,
        probes={"users' storage": await clients.probe(blobs, settings.results_container)},
        drain=assembler.drain,
    )
