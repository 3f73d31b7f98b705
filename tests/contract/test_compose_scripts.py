"""The compose stack's own scripts, as its containers run them, on real storage and a real hub."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.storage.blob.aio import BlobServiceClient
from ports import unused_port

from local.readiness import HttpReady
from shared.service.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "deploy/compose"
CONTAINERS = [name for name in ServiceSettings.model_fields if name.endswith("_container")]
DEADLINE_S = 120.0


@pytest.fixture
def environment(storage_connection: str, eventhub_connection: str) -> dict[str, str]:
    """The settings of a stack with containers of its own."""
    mark = uuid.uuid4().hex[:8]
    own = {
        name.upper(): f"{name.removesuffix('_container').replace('_', '-')}-{mark}"
        for name in CONTAINERS
        if ServiceSettings.model_fields[name].default is not None
    }
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "STORAGE_CONNECTION_STRING": storage_connection,
        "EVENTHUB_CONNECTION_STRING": eventhub_connection,
        "METRICS_HOST": "127.0.0.1",
        "METRICS_PORT": str(unused_port()),
        **own,
    }


async def prepared(environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPTS / "prepare.py", env=environment
    )
    async with asyncio.timeout(DEADLINE_S):
        assert await process.wait() == 0


async def test_set_up_makes_every_container_and_may_run_again_and_the_watcher_announces_uploads(
    environment: dict[str, str],
) -> None:
    await prepared(environment)
    await prepared(environment)
    await every_container_is_there(environment)
    await watch(environment)


async def every_container_is_there(environment: dict[str, str]) -> None:
    wanted = {value for name, value in environment.items() if name.endswith("_CONTAINER")}
    storage = environment["STORAGE_CONNECTION_STRING"]
    async with BlobServiceClient.from_connection_string(storage) as client:
        made = {container.name async for container in client.list_containers()}
    assert "uploads" in {name.partition("-")[0] for name in wanted}
    assert wanted <= made


async def watch(environment: dict[str, str]) -> None:
    """Have the watcher get ready, announce an upload, and end in order on SIGTERM."""
    uploads, arrived = environment["UPLOADS_CONTAINER"], asyncio.Event()

    async def on_event(_partition: PartitionContext, event: EventData) -> None:
        if uploads in event.body_as_str():
            arrived.set()

    hub = EventHubConsumerClient.from_connection_string(
        environment["EVENTHUB_CONNECTION_STRING"], "$Default", eventhub_name="uploads"
    )
    storage = BlobServiceClient.from_connection_string(environment["STORAGE_CONNECTION_STRING"])
    async with hub, storage, asyncio.timeout(DEADLINE_S):
        reading = asyncio.create_task(hub.receive(on_event, starting_position="-1"))
        watcher = await asyncio.create_subprocess_exec(
            sys.executable, SCRIPTS / "watch.py", env=environment
        )
        try:
            await until_well(watcher, environment)
            await storage.get_blob_client(uploads, "clip.mp4").upload_blob(b"video")
            await arrived.wait()
            # A name that storage takes in and cannot list: no upload is noticed until it is gone
            unlistable = storage.get_blob_client(uploads, "clip\x1b.mp4")
            await unlistable.upload_blob(b"video")
            await until_well(watcher, environment, well=False)
            await unlistable.delete_blob()
            await until_well(watcher, environment)
            watcher.terminate()
            assert await watcher.wait() == 0
        finally:
            if watcher.returncode is None:
                watcher.kill()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def is_well(service: str, environment: dict[str, str]) -> bool:
    """Ask as compose does: with the health check of its file, on this machine's paths."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    kind, python, *words = compose["services"][service]["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    docker = ROOT / "deploy/docker"
    command = [word.replace("/app/", f"{docker}/") for word in words]
    asking = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    return await asking.wait() == 0


async def until_well(
    watcher: asyncio.subprocess.Process, environment: dict[str, str], *, well: bool = True
) -> None:
    """Wait until compose finds the watcher well, or not: its check is a process, so asked last."""
    ready = HttpReady(f"http://127.0.0.1:{environment['METRICS_PORT']}/readyz")
    while await ready.reached("") is not well or await is_well("watcher", environment) is not well:
        assert watcher.returncode is None, "it ended instead"
        await asyncio.sleep(0.05)
