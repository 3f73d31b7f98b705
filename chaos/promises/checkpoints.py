"""I1: everything that a checkpoint has passed was finished when the checkpoint was sent."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.history import BlobCall, HubEvent
from chaos.promises.timeline import NEVER, Timeline
from chaos.promises.violation import Violation
from shared.contracts.messages import ChunkReady
from splitter.intake.uploads import parse_uploads


def went_back(timeline: Timeline) -> int:
    """Count the checkpoints that were written over later ones.

    That does not break a promise, because events that are read again are recognised. But it costs
    work, and after the end of all work it leaves a permanent lag (I5).
    """
    newest: dict[tuple[str, str], int] = {}
    count = 0
    for call in timeline.history.calls:
        position = _position(call)
        if position is not None and call.succeeded:
            hub, partition, sequence = position
            count += sequence < newest.get((hub, partition), -1)
            newest[hub, partition] = sequence
    return count


def check(timeline: Timeline) -> Iterator[Violation]:
    """Follow every partition's checkpoint, and check each event when it is passed."""
    passed: dict[tuple[str, str], int] = {}
    for call in timeline.history.calls:
        position = _position(call)
        if position is None:
            continue
        hub, partition, sequence = position
        for number in range(passed.get((hub, partition), -1) + 1, sequence + 1):
            place = (hub, partition, number)
            event = None if place in timeline.history.lost else timeline.by_place.get(place)
            if event is not None and (what := _unfinished(event, call.began, timeline)):
                yield Violation(
                    "I1",
                    f"{hub}/{partition}",
                    f"the checkpoint passed event {number} while {what}",
                )
        passed[hub, partition] = max(sequence, passed.get((hub, partition), -1))


def _position(call: BlobCall) -> tuple[str, str, int] | None:
    """Return the hub, the partition and the sequence number that a call checkpoints."""
    parts = call.name.split("/")
    if not call.container.endswith("-checkpoints") or "checkpoint" not in parts or not call.status:
        return None
    if "sequencenumber" not in call.metadata:
        return None
    _, hub, _, _, partition = parts
    return hub, partition, int(call.metadata["sequencenumber"])


def _unfinished(event: HubEvent, at: float, timeline: Timeline) -> str | None:
    """Say what was not finished about an event at a time; None if everything was."""
    if timeline.dead_lettered.get((event.hub, event.partition, event.sequence), NEVER) <= at:
        return None
    match event.hub:
        case "uploads":
            return _upload_unfinished(event, at, timeline)
        case "frames":
            return _chunk_unfinished(event, at, timeline)
    message = event.message
    if message is None:
        return "it was neither understood nor moved to the dead letters"
    if timeline.ended(message.job_id) > at:
        return f"job {message.job_id} had not ended"
    return None


def _chunk_unfinished(event: HubEvent, at: float, timeline: Timeline) -> str | None:
    message = event.message
    if not isinstance(message, ChunkReady):
        return "it was neither understood nor moved to the dead letters"
    job, chunk = message.job_id, message.chunk.index
    if timeline.first_announced(job, chunk) <= at or timeline.ended(job) <= at:
        return None
    return f"chunk {chunk} of job {job} was not announced"


def _upload_unfinished(event: HubEvent, at: float, timeline: Timeline) -> str | None:
    # One that is deleted before it is taken up never gets a job.
    there = [upload for upload in timeline.history.uploads if not upload.withdrawn]
    versions = {(upload.name, upload.etag): upload.job_id for upload in there}
    for upload in parse_uploads(event.body):
        job = versions.get((upload.name, upload.etag))
        if job is not None and min(timeline.split_ended(job), timeline.ended(job)) > at:
            return f"the split of {upload.name} had not ended"
    return None
