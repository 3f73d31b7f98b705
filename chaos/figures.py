"""Measures what faults cost: how soon others took over, and how much was done twice. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from chaos.faults import Committed
from chaos.history import History
from chaos.promises.checkpoints import went_back
from chaos.promises.timeline import NEVER, Timeline
from shared.contracts.layout import chunk_blob

_KILL: Final = "kill stylizer"


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over runs; two of them can be added."""

    jobs: int = 0
    chunks: int = 0
    """Chunks that were begun at least once."""
    begun_again: int = 0
    """Chunks that were begun more than once, by one stylizer or by several."""
    beginnings: int = 0
    """How often a stylizer began to paint a chunk."""
    painted_again: int = 0
    """Segments that were painted to the end although they were stored already."""
    checkpoints_back: int = 0
    """Checkpoints that were written over later ones."""
    taken_up_s: tuple[float, ...] = ()
    """For each partition with work that a killed stylizer left: time to the next chunk begun."""
    finished_s: tuple[float, ...] = ()
    """The same, to the next of these chunks announced."""
    opened_s: tuple[float, ...] = ()
    """For each upload: time to its job's first record."""
    ended_s: tuple[float, ...] = ()
    """For each upload: time to its job's end."""
    peaks: Mapping[str, int] = field(default_factory=dict)
    """By service: the most memory, in bytes, that one of its processes has used."""

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.jobs + other.jobs,
            self.chunks + other.chunks,
            self.begun_again + other.begun_again,
            self.beginnings + other.beginnings,
            self.painted_again + other.painted_again,
            self.checkpoints_back + other.checkpoints_back,
            self.taken_up_s + other.taken_up_s,
            self.finished_s + other.finished_s,
            self.opened_s + other.opened_s,
            self.ended_s + other.ended_s,
            {
                service: max(self.peaks.get(service, 0), other.peaks.get(service, 0))
                for service in sorted({*self.peaks, *other.peaks})
            },
        )

    @classmethod
    def of(cls, history: History, faults: Iterable[Committed]) -> Self:
        """Compute the figures of one arena's history."""
        timeline = Timeline(history)
        begun = Counter(
            name
            for (container, name), calls in timeline.blobs.items()
            for call in calls
            if container == "frames" and call.operation == "read" and call.succeeded
            if _is_chunk(name)
        )
        painted_again = sum(
            call.operation == "write" and not call.succeeded and call.status in (409, 412)
            for (container, _), calls in timeline.blobs.items()
            for call in calls
            if container == "segments"
        )
        pairs = [
            pair
            for fault in faults
            if fault.kind == _KILL
            for partition in fault.orphans
            if (pair := _recovery(timeline, partition, fault.began)) is not None
        ]
        return cls(
            jobs=len(timeline.jobs),
            chunks=len(begun),
            begun_again=sum(count > 1 for count in begun.values()),
            beginnings=sum(begun.values()),
            painted_again=painted_again,
            checkpoints_back=went_back(timeline),
            taken_up_s=tuple(taken_up for taken_up, _ in pairs),
            finished_s=tuple(finished for _, finished in pairs),
            opened_s=tuple(
                timeline.records[upload.job_id][0][0] - upload.at
                for upload in history.uploads
                if timeline.records[upload.job_id]
            ),
            ended_s=tuple(
                ended - upload.at
                for upload in history.uploads
                if (ended := timeline.ended(upload.job_id)) < NEVER
            ),
            peaks=history.peaks,
        )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed.

    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5), percentile([1.0], 0.99)
    (2.0, 1.0)
    """
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def _recovery(timeline: Timeline, partition: str, killed: float) -> tuple[float, float] | None:
    """Return the seconds until a partition's waiting work was begun, and until it was finished.

    None if there was none.
    """
    waiting = [
        chunk
        for chunk, places in timeline.chunk_places.items()
        if timeline.first_announced(*chunk) > killed
        and any(place[1] == partition and timeline.by_place[place].at <= killed for place in places)
    ]
    begun = [
        call.began
        for job, index in waiting
        for call in timeline.blobs.get(("frames", chunk_blob(job, index)), ())
        if call.operation == "read" and call.succeeded and call.began > killed
    ]
    finished = [
        at for chunk in waiting if killed < (at := timeline.first_announced(*chunk)) < float("inf")
    ]
    if not begun or not finished:
        return None
    return min(begun) - killed, min(finished) - killed


def _is_chunk(name: str) -> bool:
    return name.rpartition("/")[2].removesuffix(".mp4").isdecimal()
