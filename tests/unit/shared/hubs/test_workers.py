"""Equal work is done by one task at a time, and a draining service begins none."""

from __future__ import annotations

import asyncio

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from azure.eventhub.aio import PartitionContext
from prometheus_client import CollectorRegistry

from shared.contracts.errors import NewerMessageError
from shared.hubs.dead_lettering import DeadLettering
from shared.hubs.dead_letters import DeadLetters
from shared.hubs.delivery import Delivery, OwnedPartition, Place
from shared.hubs.workers import OneAtATime, Workers
from shared.telemetry.metrics import WorkMetrics


async def test_the_second_of_two_equal_pieces_of_work_waits_for_the_first() -> None:
    same, order = OneAtATime(), []
    entered = asyncio.Event()
    leave = asyncio.Event()

    async def first() -> None:
        async with same.of("job"):
            entered.set()
            await leave.wait()
            order.append("first")

    async def second() -> None:
        async with same.of("job"):
            order.append("second")

    tasks = [asyncio.create_task(first())]
    await entered.wait()
    tasks.append(asyncio.create_task(second()))
    async with same.of("another job"):
        order.append("another")
    leave.set()
    await asyncio.gather(*tasks)
    assert order == ["another", "first", "second"]


async def test_nothing_is_remembered_of_work_that_is_over_also_when_it_failed() -> None:
    same = OneAtATime()
    for _ in range(3):
        try:
            async with same.of("job"):
                raise ValueError
        except ValueError:
            pass
    assert same._locks == {}


async def test_events_that_wait_for_room_when_the_service_drains_are_not_taken_up() -> None:
    begun, go, owned = list[int](), asyncio.Event(), partition()

    async def work(delivery: Delivery) -> None:
        begun.append(delivery.sequence_number)
        await go.wait()

    metrics = WorkMetrics(CollectorRegistry(), "splitter")
    letters = DeadLetters(None, "dead-letters", "uploads")  # type: ignore[arg-type]
    workers = Workers(1, work, DeadLettering(letters, metrics, lambda *_: None), metrics)
    first, second = owned.delivery(received(1)), owned.delivery(received(2))
    await workers.take(first)
    waiting = asyncio.create_task(workers.take(second))
    await asyncio.sleep(0)
    workers.drain()
    go.set()
    await workers.finish()
    await waiting
    assert begun == [1]
    # Unfinished, the second comes again to whoever reads its partition then
    assert owned.watermark.oldest == Place("2", 2)


@pytest.mark.parametrize(
    "error",
    [NewerMessageError("of a newer release"), ValueError("a dead letter that is not stored")],
)
async def test_an_event_that_is_set_aside_and_waits_takes_up_no_room(error: Exception) -> None:
    begun, owned = asyncio.Queue[int](), partition()

    async def work(delivery: Delivery) -> None:
        begun.put_nowait(delivery.sequence_number)
        if delivery.sequence_number == 1:
            raise error

    metrics = WorkMetrics(CollectorRegistry(), "stylizer")
    letters = DeadLetters(None, "dead-letters", "frames")  # type: ignore[arg-type]
    workers = Workers(1, work, DeadLettering(letters, metrics, lambda *_: None), metrics)
    for number in (1, 2):
        await workers.take(owned.delivery(received(number)))
    async with asyncio.timeout(60):
        assert [await begun.get(), await begun.get()] == [1, 2]
    workers.drain()
    await workers.finish()
    # It comes again to whoever reads its partition then
    assert owned.watermark.oldest == Place("1", 1)


def partition() -> OwnedPartition:
    return OwnedPartition(PartitionContext("hubs", "uploads", "group", "0", None))


def received(number: int) -> EventData:
    place = {b"x-opt-sequence-number": number, b"x-opt-offset": str(number).encode()}
    return EventData._from_message(Message(data=[b""], message_annotations=place))
