"""A segment says with which networks it was painted."""

from __future__ import annotations

import uuid

import pytest
from contract.test_attempts import chunk
from contract.test_services import running, started
from prometheus_client import CollectorRegistry
from serving import serving

from shared.contracts.layout import chunk_blob
from shared.service.clients import AzureClients
from shared.service.health import Health
from shared.storage.seals import seal
from shared.styles.gallery import Gallery
from stylizer import service as stylizer
from stylizer.metrics import StylizerMetrics
from stylizer.settings import StylizerSettings

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


async def test_a_segment_is_kept_with_the_version_of_its_style(
    storage_connection: str, eventhub_connection: str
) -> None:
    job = uuid.uuid4().hex[:24]
    event, data = chunk()
    event = event.model_copy(update={"job_id": job})
    async with running(storage_connection, eventhub_connection) as bench:
        await bench.hub.by_job(started(job))
        name, inside = chunk_blob(job, 0), bench.settings
        await bench.blobs.create(inside.frames_container, name, data, metadata=seal(data))
        settings = StylizerSettings(
            **inside.model_dump(include=set(StylizerSettings.model_fields), exclude_unset=True),
            engine="cpu",
            precision="fp32",
            lanes=1,
        )
        async with AzureClients(settings) as clients:
            frames = await clients.publisher(settings.frames_hub)
            partitions = await frames.partitions()
            health, metrics = Health(), StylizerMetrics(CollectorRegistry())
            service = await stylizer.build(settings, clients, metrics, health)
            async with serving(service):
                await frames.to_partition(event, partitions[0])

                async def told() -> bool:
                    status = await bench.look(job)
                    return status is not None and status.chunks_stylized == 1

                await bench.until(told)
        facts = await bench.blobs.facts(inside.segments_container, name)
    assert facts
    assert facts.metadata["styles"] == Gallery().version(event.style)
