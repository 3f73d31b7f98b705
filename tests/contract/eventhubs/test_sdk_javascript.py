"""Microsoft's SDK for JavaScript: management, sends, and consumers with checkpoints in blobs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.blob.aio import ContainerClient
from node import MODULES, node_with_modules

from local.eventhubs import EventHubs
from local.eventhubs.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIENT = Path(__file__).parent / "javascript/client.cjs"
DEADLINE_S = 60.0


class JavaScriptClient:
    """The client process, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.printed: list[dict[str, Any]] = []
        self._process = process
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())

    async def send(self, word: str) -> set[str]:
        """Let it send; return the bodies that were acknowledged."""
        before = len(self.all("sent"))
        self.tell(f"send {word}")
        await self.until(lambda: len(self.all("sent")) > before)
        return set(self.all("sent")[-1])

    def all(self, kind: str) -> list[Any]:
        return [document[kind] for document in self.printed if kind in document]

    def seen(self) -> set[str]:
        return {body for _, body in self.all("seen")}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is looked at whenever something is printed."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    self._changed.clear()
                    if self._reading.done():
                        pytest.fail(f"the client has ended: {self.printed}")
                    await self._changed.wait()
        except TimeoutError:
            pytest.fail(f"only this was printed: {self.printed}")

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.printed.append(json.loads(line))
            self._changed.set()
        self._changed.set()


@pytest_asyncio.fixture(loop_scope="session")
async def start_client(storage_connection: str) -> AsyncIterator[Callable[..., Any]]:
    """Starts clients that share one container for their checkpoints."""
    node = node_with_modules()
    name = f"checkpoints-{uuid.uuid4().hex[:8]}"
    async with ContainerClient.from_connection_string(storage_connection, name) as container:
        await container.create_container()
    clients: list[JavaScriptClient] = []

    async def start(connection: str) -> JavaScriptClient:
        process = await asyncio.create_subprocess_exec(
            *(str(node), str(CLIENT), str(MODULES), connection, storage_connection, name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        clients.append(JavaScriptClient(process))
        return clients[-1]

    yield start
    for client in clients:
        await client.kill()


@pytest.mark.slow
async def test_the_javascript_sdk_sends_and_reads_all_partitions_through_kills_of_both_sides(
    start_broker: Any, start_client: Any
) -> None:
    # Given a producer and a consumer of all partitions
    broker = start_broker()
    connection = f"{broker.connection_string}EntityPath=frames"
    client = await start_client(connection)
    before = await client.send("before")
    assert client.all("properties") == [{"partitionIds": ["0", "1", "2", "3"]}]
    await client.until(lambda: set(client.all("checkpointed")) >= before)
    assert {partition for partition, _ in client.all("seen")} == set("0123")
    # When the broker is killed and started again
    broker.kill()
    broker.start()
    # Then its producer goes on by itself
    after = await client.send("after")
    # And whoever takes the consumer's place gets what it had not seen, from its checkpoints on.
    # (The SDK gives up a partition when it misses a link of its own while it reconnects, so that
    # how much the first one sees is left to chance.)
    await client.kill()
    second = await start_client(connection)
    last = await second.send("last")
    await second.until(lambda: client.seen() | second.seen() >= before | after | last)
    assert not before & second.seen()


async def test_the_javascript_sdk_sees_what_is_refused_and_continues(
    tmp_path: Path, start_client: Any
) -> None:
    # Two links for tokens, two for properties, and one for each of three partitions
    async with EventHubs(tmp_path, hubs={"frames": 4}, limits=Limits(max_links=7)) as server:
        client = await start_client(f"{server.connection_string}EntityPath=frames")
        client.tell("large")
        await client.until(lambda: client.all("refused") != [])
        ((code, message),) = client.all("refused")
        assert code == "MessageTooLargeError"
        # Microsoft's own tests of it expect these words; the first delivery is also the last
        assert re.search(
            r"\(delivery-id:0, size:\d+ bytes\) exceeds the limit \(\d+ bytes\) currently allowed",
            message,
        )
        client.tell("send word")
        await client.until(lambda: "more than 7 links" in " ".join(client.all("error")))
        # Beside the link that is refused, the connection is as it was
        await client.until(lambda: client.seen() == {"word-0", "word-1", "word-2"})
