"""I6: a chunk is tried a bounded number of times, and giving it up is reported."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.promises.timeline import Timeline
from chaos.promises.violation import Violation


def check(timeline: Timeline) -> Iterator[Violation]:
    """Check the counts of tries, and every chunk that was given up."""
    limit = timeline.history.chunk_attempts
    for (container, name), calls in timeline.blobs.items():
        tries = [
            int(call.metadata["attempts"])
            for call in calls
            if container == "frames" and call.succeeded and "attempts" in call.metadata
        ]
        if max(tries, default=0) > limit:
            yield Violation("I6", name, f"it was attempted {max(tries)} times, more than {limit}")
    for job, status in timeline.history.statuses.items():
        tried = _most_tries(job, timeline)
        if status.error and status.error.code == "CHUNK_POISONED" and tried < limit:
            yield Violation("I6", job, f"a chunk was given up after {tried} attempts, not {limit}")
    for (job, chunk), announcements in timeline.announced.items():
        given_up = min((a.at for a in announcements if a.frames is None), default=None)
        if given_up is None:
            continue
        places = timeline.chunk_places.get((job, chunk), [])
        if not any(place in timeline.dead_lettered for place in places):
            yield Violation("I6", job, f"chunk {chunk} was given up without a dead letter")


def _most_tries(job: str, timeline: Timeline) -> int:
    return max(
        (
            int(call.metadata["attempts"])
            for (container, name), calls in timeline.blobs.items()
            if container == "frames" and name.startswith(f"{job}/")
            for call in calls
            # A write whose answer was lost may have been counted, too.
            if "attempts" in call.metadata and (call.succeeded or not call.status)
        ),
        default=0,
    )
