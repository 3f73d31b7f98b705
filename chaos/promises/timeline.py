"""A history indexed by job and by place, so that rules can ask when something became true."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from chaos.history import BlobCall, Cut, History, HubEvent, Making, Place
from shared.contracts.layout import chunk_blob, manifest_blob, status_blob
from shared.contracts.manifest import Manifest
from shared.contracts.messages import (
    ChunkFailed,
    ChunkReady,
    SegmentReady,
    SplitCompleted,
    SplitFailed,
    SplitStarted,
)
from shared.contracts.segment_place import STYLES
from shared.contracts.status import Status
from shared.hubs.dead_letters import DeadLetter

NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A segment that was announced, or a chunk that was given up."""

    at: float
    frames: int | None
    """None: the chunk was given up."""


class Timeline:
    """When each thing was seen."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.by_place: dict[Place, HubEvent] = {
            (event.hub, event.partition, event.sequence): event for event in history.events
        }
        self.announced: dict[tuple[str, int], list[Announcement]] = defaultdict(list)
        self.chunk_places: dict[tuple[str, int], list[Place]] = defaultdict(list)
        self._split_ended: dict[str, float] = {}
        self._last_split_ended: dict[str, float] = {}
        self._split_again: dict[str, float] = {}
        for event in history.events:
            self._sort_in(event)
        self.blobs: dict[tuple[str, str], list[BlobCall]] = defaultdict(list)
        for call in history.calls:
            if call.name:
                self.blobs[call.container, call.name].append(call)
        self.job_ended: dict[str, float] = {}
        self.records: dict[str, list[tuple[float, Status]]] = {}
        for job in self.jobs:
            self.records[job] = list(self._records_of(job))
            ends = [at for at, status in self.records[job] if status.ended]
            if ends:
                self.job_ended[job] = min(ends)
        self.dead_lettered: dict[Place, float] = dict(self._dead_letters())

    @property
    def jobs(self) -> list[str]:
        """The jobs of the run's uploads."""
        return [upload.job_id for upload in self.history.uploads]

    def split_ended(self, job: str) -> float:
        """Return when it was announced that a job's split is complete, or has failed."""
        return self._split_ended.get(job, NEVER)

    def last_split_ended(self, job: str) -> float:
        """Return the same for the last split, if there were several at once."""
        return self._last_split_ended.get(job, NEVER)

    def split_again(self, job: str) -> float:
        """Return when a split was begun again although another had ended."""
        return self._split_again.get(job, NEVER)

    def ended(self, job: str) -> float:
        """Return when a job's record first said that it has ended."""
        return self.job_ended.get(job, NEVER)

    def first_announced(self, job: str, chunk: int) -> float:
        """Return when a chunk was first announced, as done or as given up."""
        return min((a.at for a in self.announced.get((job, chunk), ())), default=NEVER)

    def painted(self, job: str) -> dict[int, tuple[float, int]]:
        """Return by chunk of a job the time by which it was painted, and its frames.

        A stored segment was painted, whether or not it could be announced.
        """
        manifest = self.manifest(job)
        frames = frames_by_chunk(manifest) if manifest else {}
        found = {n: (self._stored(job, n), count) for n, count in frames.items()}
        for (of, chunk), announced in self.announced.items():
            counts = [(a.at, a.frames) for a in announced if a.frames is not None]
            if of == job and counts:
                at, count = min(counts)
                found[chunk] = (min(at, found.get(chunk, (NEVER, 0))[0]), count)
        return {n: (at, count) for n, (at, count) in found.items() if at < NEVER}

    def _stored(self, job: str, chunk: int) -> float:
        calls = self.blobs.get(("segments", chunk_blob(job, chunk)), ())
        writes = (
            c.began for c in calls if c.operation == "write" and (c.succeeded or not c.status)
        )
        return min(writes, default=NEVER)

    def manifest(self, job: str) -> Manifest | None:
        """Return a job's manifest as it was first written."""
        for call in self.blobs.get(("frames", manifest_blob(job)), ()):
            if call.operation == "write" and call.body and call.status:
                return Manifest.model_validate_json(call.body)
        return None

    def cut(self, job: str) -> Cut | None:
        """Return how a job's video was cut into chunks; None before its split has ended."""
        manifest = self.manifest(job)
        return None if manifest is None else tuple(chunk.frames for chunk in manifest.chunks)

    def making(self, job: str) -> Making | None:
        """Return how a job's result was made, if that is known."""
        cut, versions = self.cut(job), self.versions(job)
        return (cut, next(iter(versions))) if cut is not None and len(versions) == 1 else None

    def versions(self, job: str) -> set[str]:
        """Return the versions of its style in which all segments of a job may be stored at its end.

        There is one, unless answers of storage were lost; it is "" if no segment names a version.
        """
        stored = [self._versions(job, chunk) for chunk in range(len(self.cut(job) or ()))]
        known = [versions for versions in stored if versions]
        return set.intersection(*known) if known else {""}

    def _versions(self, job: str, chunk: int) -> set[str]:
        calls = content_writes(self.blobs.get(("segments", chunk_blob(job, chunk)), []))
        written = [c for c in calls if STYLES in c.metadata and c.began <= self.ended(job)]
        surely = [c for c in written if c.succeeded][-1:]
        perhaps = [c for c in written if not c.status]
        return {call.metadata[STYLES] for call in (*surely, *perhaps)}

    def _sort_in(self, event: HubEvent) -> None:
        message, place = event.message, (event.hub, event.partition, event.sequence)
        match message:
            case ChunkReady(job_id=job, chunk=chunk) if event.hub == "frames":
                self.chunk_places[job, chunk.index].append(place)
            case SegmentReady(job_id=job, chunk=index, frames=frames):
                self.announced[job, index].append(Announcement(event.at, frames))
            case ChunkFailed(job_id=job, chunk=index):
                self.announced[job, index].append(Announcement(event.at, None))
            case SplitStarted(job_id=job) if job in self._split_ended:
                self._split_again.setdefault(job, event.at)
            case SplitCompleted(job_id=job) | SplitFailed(job_id=job):
                self._split_ended.setdefault(job, event.at)
                self._last_split_ended[job] = event.at

    def _records_of(self, job: str) -> Iterator[tuple[float, Status]]:
        last = self.history.statuses.get(job)
        for call in self.blobs.get(("jobs", status_blob(job)), ()):
            if call.operation != "write" or not call.body:
                continue
            status = Status.model_validate_json(call.body)
            # A write without an answer was done if it is the stored record.
            if call.succeeded or (call.status == 0 and status == last):
                yield call.answered or call.began, status

    def _dead_letters(self) -> Iterator[tuple[Place, float]]:
        for (container, _), calls in self.blobs.items():
            for call in calls:
                if container == "dead-letters" and call.body and call.answered:
                    letter = _letter(call.body)
                    if letter is not None:
                        place = (letter.hub, letter.partition_id, letter.sequence_number)
                        yield place, call.answered


def _letter(body: bytes) -> DeadLetter | None:
    try:
        return DeadLetter.model_validate_json(body)
    except ValidationError:
        return None


def content_writes(calls: list[BlobCall]) -> list[BlobCall]:
    """Return the calls that sent a blob's content."""
    return [call for call in calls if call.operation == "write"]


def frames_by_chunk(manifest: Manifest) -> Mapping[int, int]:
    """Return how many frames each chunk must have."""
    return {chunk.index: chunk.frames for chunk in manifest.chunks}
