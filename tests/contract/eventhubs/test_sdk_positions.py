"""Where readers start."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.exceptions import EventHubError

from local.eventhubs import EventHubs, Retention

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEADLINE_S = 60.0


async def test_a_reader_starts_where_it_asks_to(hubs: Any, sdk: Any) -> None:
    # Given ten events, enqueued at different times
    producer = sdk.producer(hubs.connection_string)
    for number in range(10):
        await producer.send_event(EventData(str(number)), partition_id="0")
        # The next event has another time: the broker's clock counts milliseconds.
        await asyncio.sleep(0.002)
    events = await sdk.receive(hubs.connection_string, 10)
    fourth = events[4]
    beginning = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)

    async def first_from(group: str, position: Any, inclusive: bool) -> int:
        (event, *_) = await sdk.receive(
            hubs.connection_string,
            1,
            group=group,
            position=position,
            starting_position_inclusive=inclusive,
        )
        return event.sequence_number

    # When readers start at the fourth one, or after it, or at the beginning
    positions = [fourth.offset, fourth.sequence_number, fourth.enqueued_time]
    found = await asyncio.gather(
        *(first_from(f"at{n}", position, True) for n, position in enumerate(positions)),
        *(first_from(f"after{n}", position, False) for n, position in enumerate(positions)),
        first_from("text", "-1", False),
        first_from("number", -1, False),
        first_from("long-ago", beginning, False),
        first_from("map", {"0": "-1"}, False),
    )
    # Then that is the first they get
    assert found == [4, 4, 4, 5, 5, 5, 0, 0, 0, 0]


async def test_a_reader_from_latest_gets_only_what_comes_after_it(hubs: Any, sdk: Any) -> None:
    await sdk.send(hubs.connection_string, ["old"])
    consumer = sdk.consumer(hubs.connection_string)
    producer = sdk.producer(hubs.connection_string)
    got: asyncio.Queue[EventData] = asyncio.Queue()

    async def on_event(_: Any, event: EventData | None) -> None:
        await got.put(event)

    # The reader is attached when it was told that nothing is there.
    sdk.start(
        consumer.receive(on_event, partition_id="0", starting_position="@latest", max_wait_time=0.1)
    )
    assert await asyncio.wait_for(got.get(), DEADLINE_S) is None
    seen = None
    number = 0
    while seen is None:
        await producer.send_event(EventData(f"new {number}"), partition_id="0")
        seen = await asyncio.wait_for(got.get(), DEADLINE_S)
        number += 1
    assert seen.body_as_str().startswith("new")


async def test_positions_beyond_the_log_are_refused_as_the_service_does(
    hubs: Any, sdk: Any
) -> None:
    await sdk.send(hubs.connection_string, ["only"])
    with pytest.raises(EventHubError, match="supplied sequence number '7' is invalid"):
        await sdk.receive(hubs.connection_string, 1, position=7)
    with pytest.raises(EventHubError, match="supplied offset '999' is invalid"):
        await sdk.receive(hubs.connection_string, 1, position="999")


async def test_old_events_are_dropped_and_readers_begin_with_the_rest(
    tmp_path: Path, sdk: Any
) -> None:
    # Given a broker that keeps little, in small segments, and was sent more
    keep = Retention(max_bytes=30_000, segment_bytes=10_000)
    async with EventHubs(tmp_path, hubs={"frames": 1}, retention=keep) as server:
        connection = f"{server.connection_string}EntityPath=frames"
        for _ in range(10):
            await sdk.send(connection, [bytes(900)] * 10)
    # When it looks at what it has
    async with EventHubs(tmp_path, retention=keep) as server:
        connection = f"{server.connection_string}EntityPath=frames"
        properties = await sdk.producer(connection).get_partition_properties("0")
        # Then the oldest are gone, and a reader from the start begins with the rest
        begin = properties["beginning_sequence_number"]
        assert 60 <= begin < 100
        assert properties["last_enqueued_sequence_number"] == 99
        events = await sdk.receive(connection, 100 - begin)
        assert [event.sequence_number for event in events] == list(range(begin, 100))
