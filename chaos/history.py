"""What was seen of a pipeline from outside: plain values, in the order of time.

Times are seconds since the epoch, by one machine's clock. The broker dates an event when it accepts
it; the storage proxy dates a request when it arrives and when storage answers it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from http import HTTPStatus
from typing import Literal

from shared.contracts.errors import MessageError
from shared.contracts.messages import AnyMessage, decode
from shared.contracts.status import Status
from splitter.intake.uploads import parse_uploads

Operation = Literal["read", "facts", "write", "metadata", "delete", "list", "other"]


Place = tuple[str, str, int]
"""Hub, partition and sequence number."""

Cut = tuple[int, ...]
"""The number of frames of each chunk: another cut gives the same pictures in other bytes."""

Making = tuple[Cut, str]
"""Everything that the bytes of a clip's result depend on: its cut and the version of its style."""


@dataclass(frozen=True, slots=True)
class BlobCall:
    """One request of a service to blob storage."""

    began: float
    """When the request's first bytes arrived."""
    answered: float | None
    """When storage answered; None if it never did, and the outcome is unknown."""
    operation: Operation
    container: str
    name: str
    status: int
    """The HTTP status of storage's answer; 0 without one."""
    unless_exists: bool = False
    """Whether the request was conditional on the blob not existing."""
    if_version: bool = False
    """Whether the request was conditional on the blob's ETag."""
    sha256: str = ""
    """Digest of the content that was sent."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Metadata that was sent, keys in lower case."""
    body: bytes | None = None
    """The content that was sent; kept only of small writes."""
    client: int = 0
    """The TCP port that the request came from."""

    @property
    def succeeded(self) -> bool:
        """Whether storage did what was requested."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class HubEvent:
    """One event in a hub."""

    hub: str
    partition: str
    sequence: int
    at: float
    body: bytes

    @property
    def message(self) -> AnyMessage | None:
        """The decoded event; None if it is not one of the pipeline's own."""
        try:
            return decode(self.body)
        except MessageError:
            return None

    @property
    def uploads(self) -> list[str]:
        """The names of the uploads that it announces."""
        return [u.name for u in parse_uploads(self.body)] if self.hub == "uploads" else []


@dataclass(frozen=True, slots=True)
class Picture:
    """What a video shows in any player, found without the pipeline's own code."""

    times: tuple[Fraction, ...]
    """Time of every frame, in seconds."""
    numbers: tuple[int, ...]
    """The number in the source that the fields of each frame show."""
    sound: tuple[str, ...]
    """Digest of every packet of sound, with its time."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A video that the run uploaded, and what its result has to be."""

    job_id: str
    name: str
    clip: str
    """Name of the clip: uploads of one clip must have byte-identical results."""
    at: float
    etag: str = ""
    """The ETag of this version of the blob; a name may have several, each with its own job."""
    tampered: frozenset[int] = frozenset()
    """Chunks whose stored frames the run has damaged, so that the job may fail."""
    damaged_by: frozenset[str] = frozenset()
    """Codes that the job may fail with, because the run did other damage."""
    muted: bool = False
    """Whether the run has damaged its copied tracks: its result may lack them, and say so."""
    poisoned: frozenset[int] = frozenset()
    """Chunks whose painters the run kills, so that the job may fail."""
    cancelled: bool = False
    """Whether the run has cancelled the job, which may have ended before."""
    deleted: bool = False
    """Whether the run has deleted the job: nothing of it may be left."""
    withdrawn: bool = False
    """Whether the run has deleted the upload, so that its job may fail, or never begin."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip, and the result of a run without faults."""

    source: Picture
    references: Mapping[Making, str] = field(default_factory=dict)
    """Digests of the results without faults, by how they were made."""


@dataclass(frozen=True, slots=True)
class Result:
    """A blob in the results container, read at the end."""

    name: str
    job_id: str
    sha256: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event Grid event that announced a job's end."""

    job_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition had been written, and how far checkpointed, at the end."""

    hub: str
    partition: str
    last_sequence: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was seen."""

    events: tuple[HubEvent, ...] = ()
    calls: tuple[BlobCall, ...] = ()
    uploads: tuple[Upload, ...] = ()
    clips: Mapping[str, Clip] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    statuses: Mapping[str, Status] = field(default_factory=dict)
    """Each job's record at the end."""
    videos: frozenset[tuple[str, str]] = frozenset()
    """Name and ETag of every upload that was there at the end."""
    announcements: tuple[Announcement, ...] = ()
    positions: tuple[Position, ...] = ()
    leftovers: tuple[str, ...] = ()
    """What was there at the end besides uploads, results and records.

    Blobs as ``container/name``, work folders as ``work/name``.
    """
    copied: frozenset[tuple[str, int]] = frozenset()
    """Chunks, by job and number, whose events the run itself has sent again."""
    lost: frozenset[Place] = frozenset()
    """Events that the run itself has withheld from their readers."""
    troubles: tuple[tuple[float, float], ...] = ()
    """The times during which faults were active, or the pipeline recovered from them."""
    peaks: Mapping[str, int] = field(default_factory=dict)
    """By service: the most memory, in bytes, that one of its processes has used."""
    window: int = 8
    """How many of a job's chunks may wait to be painted."""
    pace_patience_s: float = 60.0
    """Time without a painted chunk after which one more may wait."""
    chunk_attempts: int = 5
    """How often a chunk may be tried."""
