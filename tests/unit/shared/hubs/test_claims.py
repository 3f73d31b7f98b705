"""Overlapping claims of one partition in one client, as the SDK sometimes has them."""

from __future__ import annotations

import asyncio
from typing import Any

from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from azure.eventhub.aio import PartitionContext
from prometheus_client import CollectorRegistry

from shared.hubs.consumer import Consumer
from shared.hubs.delivery import Delivery
from shared.telemetry.metrics import WorkMetrics


def event(number: int) -> EventData:
    place = {b"x-opt-sequence-number": number, b"x-opt-offset": str(number).encode()}
    return EventData._from_message(Message(data=[b"{}"], message_annotations=place))


async def test_late_events_of_an_earlier_claim_do_not_pass_redelivered_ones() -> None:
    taken: list[Delivery] = []
    checkpoints: list[int] = []
    released: list[str] = []

    class Store:
        async def update_checkpoint(self, checkpoint: dict[str, Any], **_: Any) -> None:
            checkpoints.append(checkpoint["sequence_number"])

    async def take(delivery: Delivery) -> None:
        taken.append(delivery)

    consumer = Consumer(
        None,  # type: ignore[arg-type]  # the test calls back
        None,  # type: ignore[arg-type]
        take,
        checkpoint_interval_s=60,
        patience_s=60,
        metrics=WorkMetrics(CollectorRegistry(), "test").reading("segments"),
        on_unrecoverable=lambda _: None,
    )
    consumer.on_released(released.append)
    # The SDK has one context for all claims of a partition, and a task for each of them.
    context = PartitionContext("hubs", "segments", "group", "0", Store())  # type: ignore[arg-type]
    first_has, second_has, first_brings = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def first() -> None:
        await consumer._on_open(context)
        await consumer._on_events(context, [event(4)])
        first_has.set()
        await second_has.wait()
        await consumer._on_events(context, [event(5)])
        first_brings.set()

    async def second() -> None:
        await first_has.wait()
        await consumer._on_open(context)
        second_has.set()
        await first_brings.wait()
        await consumer._on_events(context, [event(4), event(5)])

    await asyncio.gather(first(), second())

    assert [delivery.sequence_number for delivery in taken] == [4, 4, 5]
    assert released == ["0"]
    earlier, four, five = taken
    five.done()
    earlier.done()
    await consumer._checkpointer.flush_all()
    assert checkpoints == []
    four.done()
    await consumer._checkpointer.flush_all()
    assert checkpoints == [5]
