"""Fixtures: the broker inside the test's loop or as a process of its own, and SDK clients."""

from __future__ import annotations

import asyncio
import gc
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from contract.eventhubs.wire import Wire

from local.eventhubs import EventHubs

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 90.0
_UNRAISABLE = "ignore::pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the SDK leave sockets to the garbage collector, as it does after a failed connection."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            for ignored in ("ignore::ResourceWarning", _UNRAISABLE):
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def _collect_garbage() -> Iterator[None]:
    """Keep what one test leaves behind from warning in another."""
    yield
    gc.collect()


@dataclass(frozen=True)
class OwnHub:
    """A hub of four partitions that no other test uses, on a broker that all share."""

    name: str
    port: int
    connection_string: str


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EventHubs]:
    """A broker in the tests' own loop."""
    names = {f"hub-{number}": 4 for number in range(64)}
    async with EventHubs(tmp_path_factory.mktemp("hubs"), hubs=names) as server:
        yield server


@pytest.fixture(scope="session")
def _hub_numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def hubs(broker: EventHubs, _hub_numbers: Iterator[int]) -> OwnHub:
    """A hub of the test's own."""
    name = f"hub-{next(_hub_numbers)}"
    return OwnHub(name, broker.port, f"{broker.connection_string}EntityPath={name}")


class Sdk:
    """SDK clients that fail at once instead of retrying, kept until the test ends.

    Opening a client takes the SDK half a second of waiting and closing it a whole one,
    so that producers are shared and consumers are closed side by side.
    """

    def __init__(self) -> None:
        self._producers: dict[str, EventHubProducerClient] = {}
        self._consumers: list[EventHubConsumerClient] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        clients = [*self._producers.values(), *self._consumers]
        await asyncio.gather(
            *self._tasks, *(client.close() for client in clients), return_exceptions=True
        )

    def producer(self, connection: str) -> EventHubProducerClient:
        if connection not in self._producers:
            self._producers[connection] = EventHubProducerClient.from_connection_string(
                connection, retry_total=0
            )
        return self._producers[connection]

    def consumer(self, connection: str, group: str = "$Default") -> EventHubConsumerClient:
        client = EventHubConsumerClient.from_connection_string(
            connection, consumer_group=group, retry_total=0
        )
        self._consumers.append(client)
        return client

    def start(self, receiving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a consumer's ``receive`` until the test ends."""
        task = asyncio.create_task(receiving)
        self._tasks.append(task)
        return task

    async def send(self, connection: str, bodies: list[Any], partition: str = "0") -> None:
        """Send one batch."""
        producer = self.producer(connection)
        batch = await producer.create_batch(partition_id=partition)
        for body in bodies:
            batch.add(body if isinstance(body, EventData) else EventData(body))
        await producer.send_batch(batch)

    async def receive(
        self,
        connection: str,
        count: int,
        *,
        partition: str | None = "0",
        group: str = "$Default",
        position: Any = "-1",
        **options: Any,
    ) -> list[EventData]:
        """Return the first ``count`` events that a new consumer gets; its error is raised."""
        consumer = self.consumer(connection, group=group)
        events: list[EventData] = []
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def on_event(context: Any, event: EventData) -> None:
            event.seen_on = context.partition_id
            event.tracked = context.last_enqueued_event_properties
            events.append(event)
            if len(events) == count and not done.done():
                done.set_result(None)

        async def on_error(_: Any, error: Exception) -> None:
            if not done.done():
                done.set_exception(error)

        task = self.start(
            consumer.receive(
                on_event,
                on_error=on_error,
                partition_id=partition,
                starting_position=position,
                **options,
            )
        )
        await asyncio.wait({done, task}, timeout=DEADLINE_S, return_when="FIRST_COMPLETED")
        if not done.done():
            pytest.fail(f"{len(events)} of {count} events came")
        done.result()
        task.cancel()
        return events[:count]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _closing() -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    if tasks:
        await asyncio.wait(tasks, timeout=DEADLINE_S)


@pytest_asyncio.fixture(loop_scope="session")
async def sdk(_closing: list[asyncio.Task[None]]) -> AsyncIterator[Sdk]:
    """SDK clients; they close while the next test runs."""
    clients = Sdk()
    yield clients
    _closing.append(asyncio.create_task(clients.close()))


@pytest_asyncio.fixture(loop_scope="session")
async def connect() -> AsyncIterator[Callable[..., Any]]:
    """Connects clients that speak in single frames, and hangs up in the end."""
    clients: list[Wire] = []

    async def start(port: int) -> Wire:
        clients.append(Wire(*await asyncio.open_connection("127.0.0.1", port, limit=2**20)))
        return clients[-1]

    yield start
    for client in clients:
        client.writer.transport.abort()


_LIMITED = 'ulimit -n "$0" && exec "$@"'


class BrokerProcess:
    """The broker as a process of its own, which can be killed and started again."""

    def __init__(self, directory: Path, *arguments: str, files: int | None = None) -> None:
        self.directory = directory
        self.files = files
        self.arguments = arguments
        self.port = 0
        self.connection_string = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """Start on the same port as before, and wait for the ready line."""
        self.process = subprocess.Popen(
            [
                *(() if self.files is None else ("bash", "-c", _LIMITED, str(self.files))),
                *(sys.executable, "-m", "local.eventhubs", "--data", str(self.directory)),
                *("--port", str(self.port), *self.arguments),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().rstrip("\n")
        if not line.startswith("ready "):
            pytest.fail(f"the broker said {line!r}: {self.process.communicate()[1]}")
        self.connection_string = line.removeprefix("ready ")
        self.port = int(line.split(";")[0].rsplit(":", 1)[1])
        return self.connection_string

    def kill(self) -> None:
        """Kill it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self) -> tuple[int, str, str]:
        """Stop it cleanly; return its exit status and what it still said."""
        assert self.process is not None
        self.process.terminate()
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[..., BrokerProcess]]:
    """Starts brokers as processes, and kills what is left of them."""
    started: list[BrokerProcess] = []

    def start(*arguments: str, files: int | None = None) -> BrokerProcess:
        arguments = arguments or ("--hub", "frames:4")
        broker = BrokerProcess(tmp_path / "hubs", *arguments, files=files)
        broker.start()
        started.append(broker)
        return broker

    yield start
    for broker in started:
        if broker.process is not None and broker.process.poll() is None:
            broker.kill()
