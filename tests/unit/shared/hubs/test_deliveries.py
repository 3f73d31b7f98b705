"""What stays in memory of finished events that wait behind an open one: their positions."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from azure.eventhub.aio import PartitionContext

from shared.hubs.delivery import OwnedPartition


def received(number: int) -> EventData:
    place = {b"x-opt-sequence-number": number, b"x-opt-offset": str(number).encode()}
    return EventData._from_message(Message(data=[b"{}"], message_annotations=place))


def test_only_the_position_of_a_finished_event_behind_an_open_one_is_kept() -> None:
    context = PartitionContext("hubs", "segments", "group", "0", None)
    partition = OwnedPartition(context)
    first = partition.delivery(received(0))
    kept: list[weakref.ref[object]] = []
    for number in range(1, 100):
        event = received(number)
        kept.append(weakref.ref(event))
        partition.delivery(event).done()
        del event
    gc.collect()
    assert [ref() for ref in kept] == [None] * 99
    assert partition.watermark.unfinished == 100
    first.done()
    place = partition.watermark.take()
    assert place is not None
    assert place.sequence_number == 99


@pytest.mark.parametrize(
    ("sections", "body"),
    [
        ({"data": [b"in ", b"parts"]}, b"in parts"),
        ({"data": ["text"]}, b"['text']"),
        ({"value": {"a": 1}}, b"{'a': 1}"),
        ({"sequence": [[1, 2]]}, b"[[1, 2]]"),
        ({"data": [b"{}"], "application_properties": ["no", "map"]}, b"{}"),
    ],
)
def test_an_event_is_taken_up_whatever_its_sections_hold(
    sections: dict[str, Any], body: bytes
) -> None:
    partition = OwnedPartition(PartitionContext("hubs", "segments", "group", "0", None))
    delivery = partition.delivery(EventData._from_message(Message(**sections)))
    assert (delivery.body, delivery.origin.carrier) == (body, {})
