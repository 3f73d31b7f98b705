"""A service whose work in hand takes longer than a drain may."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid

import pytest
from ports import unused_port
from serving import python_process
from suspects import chunk

from local.stack import CONTAINERS
from shared.contracts.layout import chunk_blob
from shared.service.clients import AzureClients
from shared.service.settings import ServiceSettings
from shared.storage.blobs import BlobStore
from shared.storage.seals import seal
from stylizer.attempts.counter import was_begun

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 60.0
DRAIN_S = 1
NEVER_ENDS = """
import runpy, time
from stylizer.painting.engine import OnnxEngine

OnnxEngine.paint = lambda *_, **__: time.sleep(3600)
runpy.run_module("stylizer", run_name="__main__")
"""


async def test_a_stylizer_ends_after_its_drain_although_a_lane_still_paints(
    storage_connection: str, eventhub_connection: str
) -> None:
    mark, (event, data) = uuid.uuid4().hex[:24], chunk()
    containers = {f"{one.replace('-', '_')}_container": f"{one}-{mark}" for one in CONTAINERS}
    settings = ServiceSettings(
        storage_connection_string=storage_connection,
        eventhub_connection_string=eventhub_connection,
        **containers,
    )
    async with AzureClients(settings) as clients:
        account = await clients.blobs()
        for container in containers.values():
            await account.create_container(container)
        blobs, name = BlobStore(account), chunk_blob(mark, event.chunk.index)
        await blobs.create(settings.frames_container, name, data, metadata=seal(data))
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "STORAGE_CONNECTION_STRING": storage_connection,
            "EVENTHUB_CONNECTION_STRING": eventhub_connection,
            **{variable.upper(): container for variable, container in containers.items()},
            "ENGINE": "cpu",
            "PRECISION": "fp32",
            "DRAIN_TIMEOUT_S": str(DRAIN_S),
            "METRICS_PORT": str(unused_port()),
        }
        async with (
            python_process("-c", NEVER_ENDS, env=env) as process,
            asyncio.timeout(DEADLINE_S),
        ):
            hub = await clients.publisher(settings.frames_hub)
            await hub.to_partition(event.model_copy(update={"job_id": mark}), "0")
            while not was_begun(await blobs.fetch(settings.frames_container, name)):
                await asyncio.sleep(0.1)
            process.terminate()
            assert await process.wait() == 0
