"""Histories made by hand: a correct small job, in which tests change one thing at a time."""

from __future__ import annotations

import base64
from dataclasses import replace
from fractions import Fraction

from chaos.history import (
    Announcement,
    BlobCall,
    Clip,
    History,
    HubEvent,
    Operation,
    Picture,
    Position,
    Result,
    Upload,
)
from shared.contracts.manifest import Chunk, Manifest, Source
from shared.contracts.messages import (
    ChunkFailed,
    ChunkReady,
    Message,
    SegmentReady,
    SplitCompleted,
    SplitStarted,
)
from shared.contracts.status import Failure, Status
from shared.contracts.style_request import StyleRequest
from shared.hubs.dead_letters import DeadLetter

JOB = "0123456789abcdef01234567"
STYLE = StyleRequest(style="s")
SOURCE = Source(
    width=2, height=2, coded_width=2, coded_height=2, codec="h264", time_base=Fraction(1, 25)
)
CHUNKS = tuple(
    Chunk(index=i, first_frame=4 * i, frames=4, first_pts=4 * i, duration=4, pts_digest="")
    for i in range(2)
)
PICTURE = Picture(times=(Fraction(0), Fraction(1, 25)), numbers=(0, 1), sound=("a",))
MANIFEST = Manifest(
    job_id=JOB,
    video_url="u",
    video_name="v.mp4",
    etag="e",
    style=STYLE,
    source=SOURCE,
    chunks=CHUNKS,
    frames=8,
)


def call(operation: Operation, container: str, name: str, at: float, **more: object) -> BlobCall:
    usual = {"status": 201, "unless_exists": operation == "write", "sha256": name}
    return BlobCall(at, at, operation, container, name, **{**usual, **more})


def event(hub: str, sequence: int, at: float, message: Message | bytes) -> HubEvent:
    body = message if isinstance(message, bytes) else message.to_json()
    return HubEvent(hub, "0", sequence, at, body)


def status(**more: object) -> Status:
    return Status(
        job_id=JOB,
        video_name="v.mp4",
        video_url="u",
        style=STYLE,
        started_at="2026-01-01T00:00:00+00:00",
        updated_at="2026-01-01T00:00:00+00:00",
        **{"state": "done", "result": "v.s.mp4", **more},
    )


def failed(code: str) -> Status:
    return status(state="failed", result=None, error=Failure(code=code, message="m"))


def record(at: float, what: Status) -> BlobCall:
    name = f"{JOB}/status.json"
    return call("write", "jobs", name, at, body=what.to_json(), unless_exists=False)


def checkpoint(hub: str, sequence: int, at: float) -> BlobCall:
    name = f"localhost/{hub}/$default/checkpoint/0"
    return call(
        "metadata",
        f"{hub}-checkpoints",
        name,
        at,
        metadata={"sequencenumber": str(sequence)},
        status=200,
    )


def chunk_ready(index: int) -> ChunkReady:
    return ChunkReady(
        job_id=JOB,
        chunk=CHUNKS[index],
        width=2,
        height=2,
        time_base=Fraction(1, 25),
        sample_aspect_ratio=Fraction(1),
        style=STYLE,
    )


def segment_ready(index: int, frames: int = 4) -> SegmentReady:
    return SegmentReady(job_id=JOB, chunk=index, frames=frames)


def chunk_failed(index: int) -> ChunkFailed:
    return ChunkFailed(job_id=JOB, chunk=index, code="CORRUPT_CHUNK", message="m")


def letter(sequence: int, at: float) -> BlobCall:
    body = DeadLetter(
        hub="frames",
        partition_id="0",
        sequence_number=sequence,
        code="CORRUPT_CHUNK",
        cause="c",
        attempts=1,
        buried_at="t",
        trace="",
        body_base64=base64.b64encode(b"{}").decode(),
    ).to_json()
    return call("write", "dead-letters", f"frames/0/{sequence}.json", at, body=body)


def segment(index: int, at: float, **more: object) -> BlobCall:
    return call("write", "segments", f"{JOB}/{index:08d}.mp4", at, **more)


UPLOADED = (
    b'{"specversion":"1.0","type":"Microsoft.Storage.BlobCreated","source":"s","id":"i",'
    b'"subject":"/blobServices/default/containers/uploads/blobs/v.mp4",'
    b'"data":{"api":"PutBlob","eTag":"e","url":"u"}}'
)


def good() -> History:
    """Two chunks, split at 2 and 3, painted at 4 and 5, published at 6."""
    started = SplitStarted(job_id=JOB, video_name="v.mp4", video_url="u", etag="e", style=STYLE)
    completed = SplitCompleted(job_id=JOB, chunks=2, frames=8)
    return History(
        events=(
            event("uploads", 0, 1.0, UPLOADED),
            event("segments", 0, 1.5, started),
            event("frames", 0, 2.0, chunk_ready(0)),
            event("frames", 1, 3.0, chunk_ready(1)),
            event("segments", 1, 3.5, completed),
            event("segments", 2, 4.1, segment_ready(0)),
            event("segments", 3, 5.1, segment_ready(1)),
        ),
        calls=(
            call("write", "frames", f"{JOB}/manifest.json", 3.2, body=MANIFEST.to_json()),
            segment(0, 4.0),
            checkpoint("uploads", 0, 4.0),
            checkpoint("frames", 0, 4.5),
            segment(1, 5.0),
            checkpoint("frames", 1, 5.5),
            call("write", "results", "v.s.mp4", 6.0, metadata={"job_id": JOB}),
            record(6.5, status()),
            checkpoint("segments", 3, 7.0),
        ),
        uploads=(Upload(JOB, "v.mp4", "clip", 0.5, "e"),),
        clips={"clip": Clip(PICTURE, {((4, 4), ""): "digest"})},
        results=(Result("v.s.mp4", JOB, "digest", PICTURE),),
        statuses={JOB: status()},
        announcements=(Announcement(JOB, status()),),
        positions=(
            Position("uploads", "0", 0, 0),
            Position("frames", "0", 1, 1),
            Position("segments", "0", 3, 3),
        ),
    )


def also(history: History, *calls: BlobCall) -> History:
    """Add calls, in the order of time."""
    return replace(history, calls=tuple(sorted([*history.calls, *calls], key=lambda c: c.began)))


def without(history: History, *calls: BlobCall) -> History:
    """Remove calls."""
    left = [c for c in history.calls if c not in calls]
    assert len(left) == len(history.calls) - len(calls)
    return replace(history, calls=tuple(left))
