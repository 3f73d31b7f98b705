"""The broker as a command: its arguments, signals and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventHubError

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.eventhubs", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


async def test_it_says_one_line_when_ready_and_stops_cleanly_on_a_signal(start_broker: Any) -> None:
    broker = start_broker("--hub", "frames:2", "--policy", "me", "--key", "secret")
    assert re.fullmatch(
        r"Endpoint=sb://localhost:\d+;SharedAccessKeyName=me;SharedAccessKey=secret;"
        r"UseDevelopmentEmulator=true;",
        broker.connection_string,
    )
    status, out, _ = broker.stop()
    assert (status, out) == (0, "")


async def test_all_bad_arguments_are_named_at_once() -> None:
    result = run(
        *("--port", "x", "--hub", "frames", "--hub", "b!d:4", "--hub", "many:99"),
        *("--host", "0.0.0.0", "--key", ""),
    )
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.strip().splitlines()
    assert all(line.startswith("eventhubs: ") and line.endswith(".") for line in lines)
    for part in ("--port", "'frames'", "b!d", "many", "--host", "--data", "--key"):
        assert any(part in line for line in lines), part
    assert run("--nonsense").returncode == 2


async def test_a_data_directory_has_one_master_and_keeps_its_hubs(start_broker: Any) -> None:
    broker = start_broker("--hub", "frames:2")
    directory = str(broker.directory)
    second = run("--data", directory, "--port", "0", "--hub", "frames:2")
    assert second.returncode == 2
    assert "in use by another process" in second.stderr
    broker.stop()
    other = run("--data", directory, "--port", "0", "--hub", "frames:4")
    assert other.returncode == 2
    assert "has 2 partitions" in other.stderr


async def test_a_hub_has_the_consumer_groups_that_are_given_for_it(
    start_broker: Any, sdk: Any
) -> None:
    broker = start_broker("--hub", "segments:3:paint")
    connection = f"{broker.connection_string}EntityPath=segments"
    assert await sdk.producer(connection).get_partition_ids() == ["0", "1", "2"]
    await sdk.send(connection, ["x"])
    assert len(await sdk.receive(connection, 1, group="paint")) == 1
    with pytest.raises(EventHubError, match="could not be found"):
        await sdk.receive(connection, 1, group="sculpt")


async def wait_for_the_end(client: Any, hung_up: asyncio.Queue[int]) -> None:
    with contextlib.suppress(ConnectionError):
        await client[0].read()
    hung_up.put_nowait(1)


async def test_where_few_files_may_be_open_connections_are_refused_and_sends_are_not(
    start_broker: Any, sdk: Any
) -> None:
    # Given a broker that may open 128 files, and a producer with a connection for each partition
    broker = start_broker(files=128)
    connection = f"{broker.connection_string}EntityPath=frames"
    for partition in "0123":
        await sdk.send(connection, ["before"], partition)
    # When 200 clients connect at once and stay
    opening = [asyncio.open_connection("127.0.0.1", broker.port) for _ in range(200)]
    clients = await asyncio.gather(*opening)
    hung_up = asyncio.Queue[int]()
    reading = [asyncio.create_task(wait_for_the_end(client, hung_up)) for client in clients]
    async with asyncio.timeout(90):
        # 16 descriptors are for those that queue, 48 for the process, 4 for partitions.
        for _ in range(200 - (128 - 16 - 48 - 4)):
            await hung_up.get()
    # Then the producer is served on, in every partition
    for partition in "0123":
        await sdk.send(connection, ["after"] * 10, partition)
    for task, (_, writer) in zip(reading, clients, strict=True):
        task.cancel()
        writer.transport.abort()
    _, _, err = broker.stop()
    assert "Traceback" not in err
    assert len(err.splitlines()) < 30
    broker.start()
    assert len(await sdk.receive(connection, 11)) == 11


async def test_nothing_acknowledged_is_lost_when_the_process_is_killed_under_load(
    start_broker: Any, sdk: Any
) -> None:
    # Given producers that send one event after the other
    broker = start_broker("--hub", "frames:2")
    connection = f"{broker.connection_string}EntityPath=frames"
    acknowledged: dict[str, list[str]] = {"0": [], "1": []}
    enough = asyncio.Event()

    async def produce(name: int, partition: str) -> None:
        producer = EventHubProducerClient.from_connection_string(connection, retry_total=0)
        try:
            for number in range(100_000):
                body = f"{name}:{number}:" + "x" * (number % 700)
                await producer.send_event(EventData(body), partition_id=partition)
                acknowledged[partition].append(body)
                if sum(map(len, acknowledged.values())) >= 400:
                    enough.set()
        except EventHubError:
            await producer.close()

    producers = [asyncio.create_task(produce(n, str(n % 2))) for n in range(4)]
    await asyncio.wait_for(enough.wait(), 90)
    # When the process is killed, and what it was writing is torn
    broker.kill()
    await asyncio.gather(*producers)
    newest = max((broker.directory / "hubs" / "frames" / "0").glob("*.log"))
    whole = newest.stat().st_size
    with newest.open("ab") as file:
        file.write(b"\x00\x00\x02\x00torn")
    # Then, started again, it has every acknowledged event, in order and without a gap
    broker.start()
    assert newest.stat().st_size == whole
    for partition, bodies in acknowledged.items():
        events = await sdk.receive(connection, len(bodies), partition=partition)
        properties = await sdk.producer(connection).get_partition_properties(partition)
        count = properties["last_enqueued_sequence_number"] + 1
        assert count <= len(bodies) + 2  # each producer may have had one on its way
        if count > len(events):
            events = await sdk.receive(connection, count, partition=partition)
        assert [event.sequence_number for event in events] == list(range(count))
        stored = [event.body_as_str() for event in events]
        assert set(bodies) <= set(stored)
        assert len(stored) == len(set(stored))
    # And it takes new ones behind them
    await sdk.send(connection, ["after"], partition="0")
