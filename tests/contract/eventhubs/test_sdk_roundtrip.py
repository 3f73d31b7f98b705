"""What is sent through the real SDK is received through it, unchanged and in order."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.amqp import AmqpAnnotatedMessage
from azure.eventhub.exceptions import EventHubError

from local.eventhubs import EventHubs

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 60.0

EPOCH_OF_THE_SERVICE = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


async def test_every_form_of_the_connection_string_connects(hubs: Any) -> None:
    def partitions(host: str, ending: str) -> list[str]:
        connection = hubs.connection_string.replace("localhost", host).split(";EntityPath")[0]
        connection += ending.replace("NAME", hubs.name)
        options = {} if "EntityPath" in ending else {"eventhub_name": hubs.name}
        with EventHubProducerClient.from_connection_string(connection, **options) as client:
            return client.get_partition_ids()

    endings = ["", ";", ";EntityPath=NAME", ";EntityPath=NAME;"]
    found = await asyncio.gather(
        *(
            asyncio.to_thread(partitions, host, ending)
            for host in ("localhost", "127.0.0.1")
            for ending in endings
        )
    )
    assert found == [["0", "1", "2", "3"]] * 8


async def test_the_properties_of_an_empty_hub_are_the_sentinels_of_the_service(
    hubs: Any, sdk: Any
) -> None:
    producer = sdk.producer(hubs.connection_string)
    hub = await producer.get_eventhub_properties()
    assert hub["eventhub_name"] == hubs.name
    age = dt.datetime.now(dt.UTC) - hub["created_at"]
    assert dt.timedelta(0) <= age < dt.timedelta(minutes=10)
    assert await producer.get_partition_properties("3") == {
        "eventhub_name": hubs.name,
        "id": "3",
        "beginning_sequence_number": -1,
        "last_enqueued_sequence_number": -1,
        "last_enqueued_offset": "-1",
        "is_empty": True,
        "last_enqueued_time_utc": EPOCH_OF_THE_SERVICE,
    }


async def test_the_properties_of_a_partition_follow_its_events(hubs: Any, sdk: Any) -> None:
    await sdk.send(hubs.connection_string, ["a", "b", "c"])
    producer = sdk.producer(hubs.connection_string)
    properties = await producer.get_partition_properties("0")
    events = await sdk.receive(hubs.connection_string, 3)
    assert properties["beginning_sequence_number"] == 0
    assert properties["last_enqueued_sequence_number"] == 2
    assert properties["last_enqueued_offset"] == events[-1].offset
    assert properties["last_enqueued_time_utc"] == events[-1].enqueued_time
    assert not properties["is_empty"]


async def test_the_sync_client_sends_and_receives(hubs: Any) -> None:
    def exchange() -> list[tuple[int, str]]:
        connection = hubs.connection_string
        with EventHubProducerClient.from_connection_string(connection) as producer:
            producer.send_event(EventData("alone"), partition_id="1")
            batch = producer.create_batch(partition_id="1")
            batch.add(EventData("together"))
            producer.send_batch(batch)
        received: list[tuple[int, str]] = []
        consumer = EventHubConsumerClient.from_connection_string(
            connection, consumer_group="$Default"
        )

        def on_event(_: Any, event: Any) -> None:
            if event is not None:
                received.append((event.sequence_number, event.body_as_str()))
            if len(received) == 2:
                consumer.close()

        consumer.receive(on_event, partition_id="1", starting_position="-1", max_wait_time=1)
        return received

    assert await asyncio.to_thread(exchange) == [(0, "alone"), (1, "together")]


async def test_every_part_of_an_event_arrives_as_it_was_sent(hubs: Any, sdk: Any) -> None:
    # Given an event with everything that an event may have
    event = EventData(b"\x00\x01body")
    event.properties = {"text": "é", "number": 2**30, "real": 0.5, "yes": True, b"raw": b"\xff"}
    event.content_type = "application/octet-stream"
    event.correlation_id = "correlation"
    event.message_id = "message"
    event.raw_amqp_message.annotations = {"x-own": 7, "x-opt-offset": "forged"}
    event.raw_amqp_message.footer = {"footer": "end"}
    # When it goes alone, and in a batch
    producer = sdk.producer(hubs.connection_string)
    await producer.send_event(event, partition_id="0")
    await sdk.send(hubs.connection_string, [event])
    # Then it comes back twice, with the broker's own annotations beside its own
    for number, got in enumerate(await sdk.receive(hubs.connection_string, 2)):
        assert b"".join(got.body) == b"\x00\x01body"
        assert got.properties == {
            b"text": "é".encode(),
            b"number": 2**30,
            b"real": 0.5,
            b"yes": True,
            b"raw": b"\xff",
        }
        assert (got.content_type, got.correlation_id, got.message_id) == (
            *("application/octet-stream", "correlation"),
            "message",
        )
        annotations = got.raw_amqp_message.annotations
        assert annotations[b"x-own"] == 7
        assert annotations[b"x-opt-sequence-number-epoch"] == -1
        assert got.raw_amqp_message.footer == {b"footer": b"end"}
        assert got.sequence_number == number
        assert got.offset.isdecimal()


@pytest.mark.parametrize(
    "body",
    [
        {"value_body": {"a": [1, b"two", None], "b": 3.5}},
        {"sequence_body": [[1, 2, "three"], [4]]},
        {"data_body": [b"one", b"", b"three"]},
    ],
    ids=["value", "sequence", "several data sections"],
)
async def test_bodies_of_other_kinds_are_not_touched(
    hubs: Any, sdk: Any, body: dict[str, Any]
) -> None:
    message = AmqpAnnotatedMessage(**body, delivery_annotations={"own": 1})
    producer = sdk.producer(hubs.connection_string)
    batch = await producer.create_batch(partition_id="0")
    batch.add(message)
    await producer.send_event(message, partition_id="0")
    await producer.send_batch(batch)

    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict):
            return {plain(key): plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list) else value

    (wanted,) = (plain(value) for value in body.values())
    for got in await sdk.receive(hubs.connection_string, 2):
        raw = got.raw_amqp_message
        assert plain(raw.body if "value_body" in body else list(raw.body)) == wanted
        assert raw.delivery_annotations == {b"own": 1}


async def test_an_event_without_any_body_arrives(hubs: Any, sdk: Any) -> None:
    await sdk.send(hubs.connection_string, [EventData(""), EventData("after")])
    events = await sdk.receive(hubs.connection_string, 2)
    assert [event.body_as_str() for event in events] == ["", "after"]


async def test_events_without_a_key_go_round_the_partitions(hubs: Any, sdk: Any) -> None:
    producer = sdk.producer(hubs.connection_string)
    for number in range(8):
        await producer.send_event(EventData(str(number)))
    events = await sdk.receive(hubs.connection_string, 8, partition=None)
    assert sorted(event.seen_on for event in events) == sorted("00112233")


async def test_a_partition_key_keeps_its_partition_over_a_restart(tmp_path: Path, sdk: Any) -> None:
    keys = [f"job-{number}" for number in range(12)]

    async def places(sequence: int) -> dict[str, str]:
        async with EventHubs(tmp_path, hubs={"frames": 4}) as server:
            connection = f"{server.connection_string}EntityPath=frames"
            producer = sdk.producer(connection)
            for key in keys:
                batch = await producer.create_batch(partition_key=key)
                batch.add(EventData(key))
                await producer.send_batch(batch)
                await producer.send_event(EventData(key), partition_key=key)
            events = await sdk.receive(connection, sequence, partition=None)
        assert all(event.partition_key == event.body_as_str().encode() for event in events)
        found = {(event.body_as_str(), event.seen_on) for event in events}
        assert len(found) == len(keys)
        return dict(found)

    first = await places(24)
    assert len(set(first.values())) > 1
    assert await places(48) == first


async def test_sequence_numbers_and_offsets_continue_after_a_restart(
    tmp_path: Path, sdk: Any
) -> None:
    async with EventHubs(tmp_path, hubs={"frames": 1}) as server:
        connection = f"{server.connection_string}EntityPath=frames"
        await sdk.send(connection, [f"a{n}" for n in range(50)])
        before = await sdk.receive(connection, 50)
    async with EventHubs(tmp_path) as server:
        connection = f"{server.connection_string}EntityPath=frames"
        await sdk.send(connection, [f"b{n}" for n in range(50)])
        after = await sdk.receive(connection, 100)
    assert [event.sequence_number for event in after] == list(range(100))
    assert [event.offset for event in after[:50]] == [event.offset for event in before]
    offsets = [int(event.offset) for event in after]
    assert offsets == sorted(set(offsets))


async def test_sequence_numbers_have_no_gap_under_several_producers(hubs: Any, sdk: Any) -> None:
    async def produce(name: int) -> None:
        producer = sdk.producer(hubs.connection_string + f";Producer={name}")
        for number in range(25):
            await producer.send_event(EventData(f"{name}:{number}"), partition_id="2")

    await asyncio.gather(*(produce(name) for name in range(4)))
    events = await sdk.receive(hubs.connection_string, 100, partition="2")
    assert [event.sequence_number for event in events] == list(range(100))
    for name in range(4):
        own = [body for body in (e.body_as_str() for e in events) if body.startswith(f"{name}:")]
        assert own == [f"{name}:{number}" for number in range(25)]


async def test_a_large_event_and_a_full_batch_arrive_whole(hubs: Any, sdk: Any) -> None:
    # Given an event of 900 KB, and a batch that is filled until it takes no more
    large = bytes(range(256)) * 3600
    producer = sdk.producer(hubs.connection_string)
    await producer.send_event(EventData(large), partition_id="0")
    batch = await producer.create_batch(partition_id="0")
    assert batch.max_size_in_bytes == 1024 * 1024
    count = 0
    with contextlib.suppress(ValueError):
        while True:
            batch.add(EventData(f"{count:05}" * 200))
            count += 1
    assert count > 900
    await producer.send_batch(batch)
    # Then every byte arrives
    events = await sdk.receive(hubs.connection_string, count + 1)
    assert b"".join(events[0].body) == large
    assert [event.body_as_str() for event in events[1:]] == [f"{n:05}" * 200 for n in range(count)]


async def test_an_oversized_event_is_refused_and_the_client_continues(hubs: Any, sdk: Any) -> None:
    producer = sdk.producer(hubs.connection_string)
    with pytest.raises(EventHubError, match=r"exceeds the limit \(1048576 bytes\)"):
        await producer.send_event(EventData(bytes(1_200_000)), partition_id="0")
    await producer.send_event(EventData("fits"), partition_id="0")
    (event,) = await sdk.receive(hubs.connection_string, 1)
    assert (event.sequence_number, event.body_as_str()) == (0, "fits")


async def test_a_reader_may_track_the_last_enqueued_event(hubs: Any, sdk: Any) -> None:
    await sdk.send(hubs.connection_string, ["a", "b", "c"])
    events = await sdk.receive(hubs.connection_string, 3, track_last_enqueued_event_properties=True)
    for event in events:
        assert event.tracked["sequence_number"] == 2
        assert event.tracked["offset"] == events[-1].offset
        assert event.tracked["enqueued_time"] == events[-1].enqueued_time
        assert event.tracked["retrieval_time"] >= event.tracked["enqueued_time"]
    untracked = await sdk.receive(hubs.connection_string, 1)
    assert untracked[0].raw_amqp_message.delivery_annotations == {}


async def test_a_waiting_reader_gets_an_event_as_soon_as_it_is_sent(hubs: Any, sdk: Any) -> None:
    consumer = sdk.consumer(hubs.connection_string)
    arrived: asyncio.Queue[EventData] = asyncio.Queue()

    async def on_event(_: Any, event: EventData) -> None:
        await arrived.put(event)

    sdk.start(consumer.receive(on_event, partition_id="0", starting_position="-1", prefetch=5))
    producer = sdk.producer(hubs.connection_string)
    for number in range(30):
        await producer.send_event(EventData(str(number)), partition_id="0")
        event = await asyncio.wait_for(arrived.get(), DEADLINE_S)
        assert event.body_as_str() == str(number)
