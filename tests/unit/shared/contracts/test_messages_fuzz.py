"""Damaged events: each is parsed, or refused with the one error for that."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from fuzzing import every_input, mutate_json

from shared.contracts.errors import MessageError
from shared.contracts.manifest import Chunk
from shared.contracts.messages import (
    ChunkFailed,
    ChunkReady,
    Message,
    SegmentReady,
    SplitCompleted,
    SplitFailed,
    SplitStarted,
    decode,
)
from shared.contracts.style_request import StyleRequest
from splitter.intake.uploads import Upload, parse_uploads

JOB = "0123456789abcdef01234567"
STYLE = StyleRequest(style="starry-night", max_side=640)
CHUNK = Chunk(
    index=3, first_frame=96, frames=2, first_pts=96096, duration=2002, pts_digest="d" * 32
)
EVENTS: list[Message] = [
    ChunkReady(
        job_id=JOB,
        chunk=CHUNK,
        width=640,
        height=360,
        time_base=Fraction(1, 30000),
        sample_aspect_ratio=Fraction(4, 3),
        style=STYLE,
    ),
    SplitStarted(job_id=JOB, video_name="v.mp4", video_url="http://h/v", etag="e", style=STYLE),
    SplitCompleted(job_id=JOB, chunks=4, frames=128),
    SplitFailed(job_id=JOB, code="EMPTY_FILE", message="The file is empty."),
    SegmentReady(job_id=JOB, chunk=3, frames=32),
    ChunkFailed(job_id=JOB, chunk=3, code="CHUNK_CORRUPT", message="It is damaged."),
]
DATA = {
    "api": "PutBlob",
    "eTag": '"0x8D"',
    "url": "http://host/uploads/a/v.mp4",
    "contentLength": 1,
}
SUBJECT = "/blobServices/default/containers/uploads/blobs/a/v.mp4"
CLOUD_EVENT = {
    "specversion": "1.0",
    "type": "Microsoft.Storage.BlobCreated",
    "source": "/subscriptions/0",
    "id": "1",
    "time": "2026-01-01T00:00:00Z",
    "subject": SUBJECT,
    "data": DATA,
}
GRID_EVENT = {
    "topic": "/subscriptions/0",
    "subject": SUBJECT,
    "eventType": "Microsoft.Storage.BlobCreated",
    "eventTime": "2026-01-01T00:00:00Z",
    "id": "1",
    "data": DATA,
    "dataVersion": "",
    "metadataVersion": "1",
}


def answer_of(read: Callable[[bytes], Any], body: bytes) -> Any:
    """Return what a reader makes of a body, or its refusal."""
    try:
        return read(body)
    except MessageError as refusal:
        return refusal


def test_a_spoilt_event_is_understood_or_refused_and_nothing_else() -> None:
    documents = [json.loads(event.to_json()) for event in EVENTS]

    def spoil(chance: random.Random) -> bytes:
        return mutate_json(chance.choice(documents), chance)

    refused = 0
    for body in every_input(spoil, seed=1):
        answer = answer_of(decode, body)
        if isinstance(answer, MessageError):
            refused += 1
            assert 10 < len(answer.message) < 500
        else:
            # What is understood can be said again.
            assert decode(answer.to_json()) == answer
    assert refused > len(EVENTS)


def test_a_spoilt_upload_notice_is_understood_or_refused_and_nothing_else() -> None:
    documents = [CLOUD_EVENT, GRID_EVENT, [GRID_EVENT], [CLOUD_EVENT, GRID_EVENT]]

    def spoil(chance: random.Random) -> bytes:
        return mutate_json(chance.choice(documents), chance)

    refused = 0
    for body in every_input(spoil, seed=2):
        answer = answer_of(parse_uploads, body)
        if isinstance(answer, MessageError):
            refused += 1
            assert 10 < len(answer.message) < 500
        else:
            assert all(isinstance(upload, Upload) for upload in answer)
    assert refused > len(documents)


@pytest.mark.parametrize("read", [decode, parse_uploads])
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'"' + b"x" * 1_000_000])
def test_no_depth_and_no_length_brings_a_reader_down(read, body: bytes) -> None:
    with pytest.raises(MessageError):
        read(body)
