"""The times at which a job's events reached the hub, read after the job has ended."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext

from shared.contracts.errors import MessageError
from shared.contracts.messages import Message, SegmentReady, decode
from shared.hubs.connections import connection_options

# A consumer group of its own, so that it does not disturb the assembler's ownership.
_CONSUMER_GROUP: Final = "benchmark"


@dataclass(frozen=True, slots=True)
class Moments:
    """Seconds since the epoch."""

    first_segment: float
    last_segment: float


async def segment_moments(connection_string: str, hub: str, job_id: str) -> Moments:
    """Read ``hub`` from its beginning to its present end, and pick out the job's segments."""
    client = EventHubConsumerClient.from_connection_string(
        connection_string, _CONSUMER_GROUP, eventhub_name=hub, **connection_options()
    )
    times: list[float] = []
    async with client:
        partitions = await client.get_partition_ids()
        ends = {p: await client.get_partition_properties(p) for p in partitions}
        unread = {p for p, end in ends.items() if not end["is_empty"]}
        all_read = asyncio.Event()

        async def on_event(context: PartitionContext, event: EventData | None) -> None:
            if event is None:
                return
            if _is_segment_of(event, job_id) and event.enqueued_time:
                times.append(event.enqueued_time.timestamp())
            if event.sequence_number == ends[context.partition_id]["last_enqueued_sequence_number"]:
                unread.discard(context.partition_id)
                if not unread:
                    all_read.set()

        reading = [
            asyncio.create_task(client.receive(on_event, partition_id=p, starting_position="-1"))
            for p in unread
        ]
        await asyncio.wait_for(all_read.wait(), 60)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return Moments(min(times), max(times))


def _is_segment_of(event: EventData, job_id: str) -> bool:
    try:
        message: Message = decode(b"".join(event.body))  # type: ignore[arg-type]
    except MessageError:
        return False
    return isinstance(message, SegmentReady) and message.job_id == job_id
