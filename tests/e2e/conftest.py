"""A whole stack, and ways to observe it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest_asyncio
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from browsers import browser
from command_processes import FORKS

from client import Account, open_pipeline
from client import Pipeline as ClientPipeline
from client.account import open_account
from local import azurite
from local.stack import Stack, StackOptions
from shared.contracts.messages import Message, decode
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest
from shared.hubs.connections import connection_options
from shared.storage.blobs import BlobStore

__all__ = ["browser"]

DEADLINE_S = 90.0
# Small chunks make short videos long jobs: many events, many places to be killed at.
ENVIRONMENT = {"CHUNK_FRAMES": "8"}


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def _forks() -> AsyncIterator[None]:
    yield
    await FORKS.end()


class Pipeline:
    """A running stack as its users see it."""

    def __init__(self, stack: Stack, jobs: ClientPipeline, blobs: BlobStore, folder: Path) -> None:
        self.stack = stack
        self.jobs = jobs
        self.blobs = blobs
        self.folder = folder

    async def submit(self, name: str, video: bytes, style: str = "starry-night") -> str:
        """Upload a video and return its job's id."""
        path = self.folder / name
        path.write_bytes(video)
        return (await self.jobs.submit(path, StyleRequest(style=style))).job_id

    async def ended(self, job: str, deadline_s: float = DEADLINE_S) -> Status:
        """Wait for a job's end."""
        async with asyncio.timeout(deadline_s):
            async for view in self.jobs.watch(job):
                status = view.status
        assert status is not None
        return status

    async def stylized(self, job: str, chunks: int, deadline_s: float = DEADLINE_S) -> None:
        """Wait until so many chunks of a job are stylized."""
        async with asyncio.timeout(deadline_s):
            async for view in self.jobs.watch(job):
                if view.status and view.status.chunks_stylized >= chunks:
                    return

    async def result(self, status: Status) -> Path:
        """Download a job's result."""
        assert status.result, status.error
        path = self.folder / status.result.replace("/", "_")
        return await self.jobs.fetch(status.job_id, path)

    def process(self, name: str):
        """Return a process of the stack by name."""
        return next(p for p in self.stack.processes if p.name == name)

    async def lag(self) -> int:
        """Sum up over hubs and partitions the events behind the services' checkpoints."""
        reached = {}
        for hub in ("uploads", "frames", "segments"):
            async for name in self.blobs.names(f"{hub}-checkpoints"):
                _, _, _, kind, partition = name.split("/")
                facts = await self.blobs.facts(f"{hub}-checkpoints", name)
                if facts and kind == "checkpoint":
                    reached[hub, partition] = int(facts.metadata["sequencenumber"])

        async def behind(hub: str) -> int:
            async with self._reader(hub) as client:
                partitions = await client.get_partition_ids()
                ends = await asyncio.gather(*map(client.get_partition_properties, partitions))
            return sum(
                end["last_enqueued_sequence_number"] - reached.get((hub, partition), -1)
                for partition, end in zip(partitions, ends, strict=True)
            )

        return sum(await asyncio.gather(*map(behind, ("uploads", "frames", "segments"))))

    async def events_by_partition(self, hub: str, kind: type[Message]) -> dict[str, Counter[str]]:
        """Read a hub from its beginning; count the events of a kind by job and partition."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        async with self._reader(hub) as client:
            partitions = await client.get_partition_ids()
            ends = {p: await client.get_partition_properties(p) for p in partitions}
            unread = {p for p, end in ends.items() if not end["is_empty"]}
            finished = asyncio.Event()

            async def on_event(context: PartitionContext, event: EventData) -> None:
                message = decode(b"".join(event.body))
                if isinstance(message, kind):
                    counts[message.job_id][context.partition_id] += 1
                newest = ends[context.partition_id]["last_enqueued_sequence_number"]
                if event.sequence_number >= newest:
                    unread.discard(context.partition_id)
                    if not unread:
                        finished.set()

            reading = [
                asyncio.create_task(
                    client.receive(on_event, partition_id=p, starting_position="-1")
                )
                for p in unread
            ]
            async with asyncio.timeout(DEADLINE_S):
                await finished.wait()
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        return counts

    def _reader(self, hub: str) -> EventHubConsumerClient:
        # A group of its own: the services' ownership of partitions must not be disturbed.
        return EventHubConsumerClient.from_connection_string(
            self.stack.eventhub_connection_string,
            "tests",
            eventhub_name=hub,
            **connection_options(),
        )


@asynccontextmanager
async def running(
    folder: Path, stylizers: int, *, tells_requests: bool = False, **settings: str
) -> AsyncIterator[Pipeline]:
    """Run a stack in a folder; with ``tells_requests`` the log of its storage has each."""
    options = StackOptions(folder / "stack", stylizers, environment=ENVIRONMENT | settings)
    command_line = azurite.command_line

    def loud(port: int, directory: Path) -> tuple[str, ...]:
        return tuple(word for word in command_line(port, directory) if word != "--silent")

    async with AsyncExitStack() as closing:
        with mock.patch.object(azurite, "command_line", loud if tells_requests else command_line):
            stack = await closing.enter_async_context(Stack(options))
        account = Account(stack.storage_connection_string)
        jobs = await closing.enter_async_context(open_pipeline(account))
        client = await closing.enter_async_context(open_account(account))
        yield Pipeline(stack, jobs, BlobStore(client), folder)
