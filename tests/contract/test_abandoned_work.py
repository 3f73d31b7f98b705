"""A service whose work in hand takes longer than a drain may, or than whoever ends it waits."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
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
DEADLINE_S = 90.0
NEVER_ENDS = """
import runpy, time
from stylizer.painting.engine import OnnxEngine

OnnxEngine.paint = lambda *_, **__: time.sleep(3600)
runpy.run_module("stylizer", run_name="__main__")
"""


@asynccontextmanager
async def painting_forever(
    storage: str, eventhub: str, port: int, drain_s: int
) -> AsyncIterator[Process]:
    """Run a stylizer that has begun with a chunk and does not come to its end."""
    mark, (event, data) = uuid.uuid4().hex[:24], chunk()
    containers = {f"{one.replace('-', '_')}_container": f"{one}-{mark}" for one in CONTAINERS}
    settings = ServiceSettings(
        storage_connection_string=storage, eventhub_connection_string=eventhub, **containers
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
            "STORAGE_CONNECTION_STRING": storage,
            "EVENTHUB_CONNECTION_STRING": eventhub,
            **{variable.upper(): container for variable, container in containers.items()},
            "ENGINE": "cpu",
            "PRECISION": "fp32",
            "DRAIN_TIMEOUT_S": str(drain_s),
            "METRICS_PORT": str(port),
        }
        async with (
            python_process("-c", NEVER_ENDS, env=env) as process,
            asyncio.timeout(DEADLINE_S),
        ):
            hub = await clients.publisher(settings.frames_hub)
            await hub.to_partition(event.model_copy(update={"job_id": mark}), "0")
            while not was_begun(await blobs.fetch(settings.frames_container, name)):
                await asyncio.sleep(0.1)
            yield process


async def test_a_stylizer_ends_after_its_drain_although_a_lane_still_paints(
    storage_connection: str, eventhub_connection: str
) -> None:
    where = storage_connection, eventhub_connection
    async with painting_forever(*where, unused_port(), drain_s=1) as stylizer:
        stylizer.terminate()
        assert await stylizer.wait() == 0


@pytest.mark.slow
async def test_a_second_signal_ends_a_stylizer_that_waits_for_its_chunk(
    storage_connection: str, eventhub_connection: str
) -> None:
    where, port = (storage_connection, eventhub_connection), unused_port()
    async with painting_forever(*where, port, drain_s=3600) as stylizer:
        stylizer.terminate()
        await until_unready(port)
        assert stylizer.returncode is None, "the first leaves it the time to finish its chunk"
        stylizer.terminate()
        assert await stylizer.wait() == 1


async def until_unready(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                if (response.status, "draining" in await response.text()) == (503, True):
                    return
            await asyncio.sleep(0.05)
