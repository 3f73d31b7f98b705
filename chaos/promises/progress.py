"""SHOWN and LEAN: records count the work correctly, and finished work is not done again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.history import Place
from chaos.promises.timeline import Timeline
from chaos.promises.violation import Violation
from shared.contracts.messages import ChunkReady

_UNDER_WAY_S: Final = 10.0
"""A chunk may be sent again while its announcement is in transit."""


def check(timeline: Timeline) -> Iterator[Violation]:
    """Compare records with announcements, and look for chunks that were sent needlessly."""
    for job in timeline.jobs:
        yield from _check_shown(job, timeline)
    for (job, chunk), places in timeline.chunk_places.items():
        if (job, chunk) in timeline.history.copied:
            continue
        # A split that begins anew, because its splitter died or was cut off, announces everything
        # again; so does one that waited for a slot while another was completed.
        after = max(timeline.first_announced(job, chunk), timeline.last_split_ended(job))
        until = timeline.split_again(job)
        again = [p for p in places if after + _UNDER_WAY_S < timeline.by_place[p].at < until]
        again = [p for p in again if not _asks_for_version(timeline, p)]
        if again:
            yield Violation("LEAN", job, f"chunk {chunk} was finished and sent {len(again)} times")


def _asks_for_version(timeline: Timeline, place: Place) -> bool:
    """Return whether a chunk was sent again to be painted in another version of the style."""
    message = timeline.by_place[place].message
    return isinstance(message, ChunkReady) and bool(message.styles)


def _check_shown(job: str, timeline: Timeline) -> Iterator[Violation]:
    painted = timeline.painted(job).values()
    for at, status in timeline.records.get(job, ()):
        there = sum(frames for painted_at, frames in painted if painted_at <= at)
        if status.frames_stylized > there:
            yield Violation(
                "SHOWN",
                job,
                f"its record counted {status.frames_stylized} painted frames of {there}",
            )
        elif status.result is not None and status.frames_stylized != status.frames:
            yield Violation(
                "SHOWN",
                job,
                f"it is {status.state} with {status.frames_stylized} of {status.frames} frames",
            )
