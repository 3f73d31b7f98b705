"""What is shown of a partition while it is ours, and after that."""

from __future__ import annotations

from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from azure.eventhub.aio import PartitionContext
from prometheus_client import CollectorRegistry

from shared.hubs.checkpointer import Checkpointer
from shared.hubs.delivery import OwnedPartition
from shared.hubs.positions import HubIdentity
from shared.telemetry.metrics import WorkMetrics


async def test_a_partition_that_was_handed_over_shows_no_lag() -> None:
    registry = CollectorRegistry()
    metrics = WorkMetrics(registry, "stylizer").reading("frames")
    partition = OwnedPartition(PartitionContext("hubs", "frames", "group", "0", None))
    checkpointer = Checkpointer({}, HubIdentity(None), metrics)  # type: ignore[arg-type]

    def lag() -> float | None:
        return registry.get_sample_value("stylizer_lag_events", {"hub": "frames", "partition": "0"})

    delivery = partition.delivery(EventData._from_message(Message(data=[b"{}"])))
    await checkpointer.flush(partition)
    assert lag() == 0
    # When it is released before its last event is finished
    partition.close()
    metrics.released("0")
    delivery.done()
    await checkpointer.flush(partition)
    assert lag() is None
