"""The services as processes on two storage accounts, each thing in the account where it belongs."""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient
from ports import unused_port
from videos import Video, times

from client import Account, open_pipeline
from local import azurite
from local.children import python
from local.loader import Loader
from local.processes import Command, Launch, Supervised
from local.readiness import HttpReady, TcpReady
from local.watcher import UploadWatcher
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(b"one key is enough for both of them, here on this machine").decode()
DEADLINE_S = 90.0

USERS = {"uploads", "results", "jobs"}
POSITIONS = {"uploads-checkpoints", "frames-checkpoints", "segments-checkpoints"}
OWN = {"frames", "segments", "dead-letters"} | POSITIONS


@asynccontextmanager
async def started(*commands: Command, launch: Launch | None = None) -> AsyncIterator[None]:
    processes = [Supervised(command, launch=launch) for command in commands]
    try:
        await asyncio.gather(*(process.start() for process in processes))
        yield
    finally:
        await asyncio.gather(*(process.stop() for process in processes))


def account(port: int, name: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={name};AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{name};"
    )


@asynccontextmanager
async def pipeline(folder: Path, eventhub: str) -> AsyncIterator[tuple[str, str]]:
    """Run storage with two accounts, and the services on both; yield how to reach each account."""
    storage_port, *ports = (unused_port() for _ in range(4))
    own, users = account(storage_port, "own"), account(storage_port, "users")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "EVENTHUB_CONNECTION_STRING": eventhub,
        "STORAGE_CONNECTION_STRING": own,
        "MEDIA_STORAGE_CONNECTION_STRING": users,
        "CONSUMER_GROUP": f"g{uuid.uuid4().hex[:8]}",
        "METRICS_HOST": "127.0.0.1",
        "LOAD_BALANCING_INTERVAL_S": "1",
        "OWNERSHIP_EXPIRY_S": "5",
        "LANES": "1",
    }
    storage = Command(
        "azurite",
        azurite.command_line(storage_port, folder / "blobs"),
        {**inherited, "AZURITE_ACCOUNTS": f"own:{KEY};users:{KEY}"},
        folder / "azurite.log",
        TcpReady(storage_port),
    )
    services = [
        Command(
            service,
            python(service),
            environment | {"METRICS_PORT": str(port)},
            folder / f"{service}.log",
            HttpReady(f"http://127.0.0.1:{port}/readyz"),
        )
        for service, port in zip(("splitter", "stylizer", "assembler"), ports, strict=True)
    ]
    async with started(storage), Loader(environment, folder / "loader.log") as loader:
        await create(own, OWN)
        await create(users, USERS)
        async with started(*services, launch=loader.launch):
            watching = asyncio.create_task(UploadWatcher(users, eventhub).run())
            yield own, users
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def create(connection: str, containers: set[str]) -> None:
    async with BlobServiceClient.from_connection_string(connection) as client:
        for container in containers:
            await client.create_container(container)


async def contents(connection: str) -> dict[str, int]:
    """Return how many blobs there are in each of an account's containers."""
    async with BlobServiceClient.from_connection_string(connection) as client:
        return {
            container.name: len(
                [blob async for blob in client.get_container_client(container.name).list_blobs()]
            )
            async for container in client.list_containers()
        }


@pytest.mark.timeout(240)
async def test_a_video_goes_through_two_accounts_and_each_thing_lies_where_it_belongs(
    tmp_path: Path, eventhub_connection: str
) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(Video(frames=20).make())
    async with (
        pipeline(tmp_path, eventhub_connection) as (own, users),
        # Users may know their account by another name than the services do.
        open_pipeline(Account(users.replace("127.0.0.1", "localhost"))) as jobs,
    ):
        style = StyleRequest.model_validate({"style": "starry-night"})
        submission = await jobs.submit(clip, style)
        status = await ended(jobs, submission.job_id)
        assert status.state == "done", status.error
        await jobs.fetch(submission.job_id, tmp_path / "result.mp4")

        # A service that looked into the wrong account would have found no such container there.
        theirs, ours = await contents(users), await contents(own)
        assert theirs.keys() == USERS
        assert ours.keys() == OWN
        assert theirs["uploads"] == theirs["results"] == 1
        assert theirs["jobs"] >= 1
        assert all(ours[container] for container in POSITIONS)

    assert times(tmp_path / "result.mp4") == times(clip)


async def ended(jobs, job: str) -> Status:
    async with asyncio.timeout(DEADLINE_S):
        async for view in jobs.watch(job):
            status = view.status
    assert status is not None
    return status
