"""A job of thousands of chunks takes little memory while it is open."""

from __future__ import annotations

import time
import tracemalloc

from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message
from azure.eventhub.aio import PartitionContext

from assembler.job import Job, first_record
from shared.contracts.messages import SegmentReady, SplitStarted, decode
from shared.contracts.style_request import StyleRequest
from shared.hubs.delivery import OwnedPartition

CHUNKS = 2000
JOB = "a" * 24


def received(number: int) -> EventData:
    place = {b"x-opt-sequence-number": number, b"x-opt-offset": str(40 * number).encode()}
    painted = SegmentReady(job_id=JOB, chunk=number, frames=32, work_s=number / 7, styles="d" * 16)
    return EventData._from_message(Message(data=[painted.to_json()], message_annotations=place))


def test_an_open_job_keeps_less_than_half_a_kilobyte_of_each_painted_chunk() -> None:
    style = StyleRequest(style="starry-night")
    begin = SplitStarted(job_id=JOB, video_name="v.mp4", video_url="u", etag="e", style=style)
    job = Job(first_record(begin), None, 3, time.monotonic)
    partition = OwnedPartition(PartitionContext("hubs", "segments", "group", "0", None))
    tracemalloc.start()
    try:
        for number in range(CHUNKS):
            delivery = partition.delivery(received(number))
            event = decode(delivery.body)
            assert isinstance(event, SegmentReady)
            job.take(delivery)
            job.announce(event)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert job.status.frames_stylized == 32 * CHUNKS
    assert kept < 500 * CHUNKS
    # And none of the events is done before the job is
    assert partition.watermark.unfinished == CHUNKS
    job.done()
    assert partition.watermark.unfinished == 0
