"""Several simulated stylizers in one process: ``python -m bench.scale_out.pool COUNT FRAME_S``.

It is configured like a stylizer, and prints ``ready COUNT`` when all of them read their hub.
"""

from __future__ import annotations

import asyncio
import sys

from prometheus_client import CollectorRegistry

from bench.scale_out.engine import WaitingEngine
from shared.service.checkpoints import prepare
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.service.settings import load
from shared.storage.blobs import BlobStore
from shared.telemetry import logs
from stylizer.metrics import StylizerMetrics
from stylizer.service import connect
from stylizer.settings import StylizerSettings


async def run(count: int, frame_s: float) -> None:
    """Run ``count`` stylizers until one of them ends, which would be a fault."""
    settings = load(StylizerSettings)
    logs.configure(settings.log_level, settings.log_format, "simulated-stylizers")
    engine = WaitingEngine(frame_s)
    reading: asyncio.Queue[None] = asyncio.Queue()
    await _prepare(settings)
    async with asyncio.TaskGroup() as stylizers:
        for _ in range(count):
            stylizers.create_task(_stylize(settings, engine, reading))
        for _ in range(count):
            await reading.get()
        print(f"ready {count}", flush=True)


async def _prepare(settings: StylizerSettings) -> None:
    async with AzureClients(settings) as clients:
        blobs = BlobStore(await clients.storage())
        async with await clients.consumer(settings.frames_hub) as client:
            await prepare(client, blobs, settings)


async def _stylize(
    settings: StylizerSettings, engine: WaitingEngine, reading: asyncio.Queue[None]
) -> None:
    metrics = StylizerMetrics(CollectorRegistry())
    async with AzureClients(settings) as clients:
        service = await connect(settings, engine, clients, metrics, Health())
        reading.put_nowait(None)
        await service.consumer.run()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), float(sys.argv[2])))
