"""PROMPT and FAIR: nothing stalls without a fault, and no job takes the place of others.

During faults, and on an overloaded machine, work may take any time. But faults end, and what they
broke recovers. What still stalls after that, on a machine that is not overloaded, waits for
something that it should not wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from chaos.promises.timeline import NEVER, Timeline
from chaos.promises.violation import Violation

_STILL_S: Final = 60.0
"""The longest that a job may stall while nothing is broken, on a busy machine."""

_COUNTED_S: Final = 30.0
"""The longest that a painted chunk may be missing from its job's record, likewise."""


def check(timeline: Timeline) -> Iterator[Violation]:
    """Check how long jobs stalled, and how many chunks they had waiting."""
    for upload in timeline.history.uploads:
        yield from _check_prompt(upload.job_id, upload.at, timeline)
        yield from _check_counted(upload.job_id, timeline)
        yield from _check_fair(upload.job_id, timeline)


def _check_prompt(job: str, uploaded: float, timeline: Timeline) -> Iterator[Violation]:
    ended = timeline.ended(job)
    steps = [uploaded, *(at for at in _steps(job, timeline) if uploaded < at < ended)]
    if ended < NEVER:
        steps.append(ended)
    for before, after in pairwise(steps):
        still = undisturbed_s(before, after, timeline.history.troubles)
        if still > _STILL_S:
            yield Violation("PROMPT", job, f"it stood still for {still:.0f} s without any fault")


def _steps(job: str, timeline: Timeline) -> list[float]:
    """Return when a job made progress: its record was opened, or a part of it was done."""
    writes = [
        call.began
        for (container, name), calls in timeline.blobs.items()
        if container in ("frames", "segments") and name.startswith(f"{job}/")
        for call in calls
        if call.operation == "write" and call.succeeded
    ]
    announced = [a.at for (of, _), many in timeline.announced.items() if of == job for a in many]
    opened = [at for at, _ in timeline.records.get(job, ())[:1]]
    return sorted([*writes, *announced, *opened])


def _check_counted(job: str, timeline: Timeline) -> Iterator[Violation]:
    painted = sorted(
        min((a.at, a.frames) for a in announced if a.frames is not None)
        for (of, _), announced in timeline.announced.items()
        if of == job and any(a.frames is not None for a in announced)
    )
    records, frames = timeline.records.get(job, []), 0
    for at, more in painted:
        frames += more
        counted = (seen for seen, status in records if status.frames_stylized >= frames)
        late = undisturbed_s(
            at, min(next(counted, NEVER), timeline.ended(job)), timeline.history.troubles
        )
        if _COUNTED_S < late < NEVER:
            yield Violation("PROMPT", job, f"its record fell {late:.0f} s behind the painting")


def _check_fair(job: str, timeline: Timeline) -> Iterator[Violation]:
    """Check that a job never had more chunks waiting than its window has room for."""
    history = timeline.history
    sent = sorted(
        (min(timeline.by_place[place].at for place in places), chunk)
        for (of, chunk), places in timeline.chunk_places.items()
        if of == job
    )
    done = sorted(timeline.first_announced(job, chunk) for _, chunk in sent)
    for count, (at, chunk) in enumerate(sent, start=1):
        earlier = [when for when in done if when <= at]
        # A splitter sends one more chunk each time that nothing was painted for that long.
        patience = int((at - sent[0][0]) / history.pace_patience_s)
        if count - len(earlier) > history.window + patience:
            yield Violation(
                "FAIR",
                job,
                f"{count - len(earlier)} of its chunks were waiting when chunk {chunk} was sent",
            )
            return


def undisturbed_s(began: float, ended: float, troubles: Sequence[tuple[float, float]]) -> float:
    """Return how many seconds of a time no fault was active.

    >>> undisturbed_s(0.0, 10.0, [(1.0, 3.0), (2.0, 4.0), (8.0, 20.0)])
    5.0
    """
    left, reached = 0.0, began
    for start, end in sorted(troubles):
        left += max(0.0, min(start, ended) - reached)
        reached = max(reached, end)
    return left + max(0.0, ended - reached)
