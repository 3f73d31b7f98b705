"""What was seen of a pipeline from outside: plain values, in the order of time.

Times are seconds since the epoch, by one machine's clock. The broker dates an event when it takes
it in; the storage proxy dates a request when it comes and when storage's answer comes.
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

Operation = Literal["read", "facts", "write", "metadata", "delete", "list", "other"]


Place = tuple[str, str, int]
"""Hub, partition and sequence number."""

Cut = tuple[int, ...]
"""The frames of each chunk: another cut gives other bytes of the same pictures."""

Making = tuple[Cut, str]
"""All that the bytes of a clip's result depend on: its cut, and the version of its style."""


@dataclass(frozen=True, slots=True)
class BlobCall:
    """One request of a service to blob storage."""

    began: float
    """When the request's first bytes came."""
    answered: float | None
    """When storage answered; None: it never did, and what it did is unknown."""
    operation: Operation
    container: str
    name: str
    status: int
    """Storage's answer; 0 without one."""
    unless_exists: bool = False
    """Whether the request was conditional on there being no such blob."""
    if_version: bool = False
    """Whether it was conditional on the blob being at a version that it named."""
    sha256: str = ""
    """Digest of the content that was sent."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Metadata that was sent, keys in lower case."""
    body: bytes | None = None
    """What was sent, kept of small writes alone."""
    client: int = 0
    """TCP port that the request came from."""

    @property
    def succeeded(self) -> bool:
        """Whether storage did what was asked."""
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
        """The event as one of the pipeline's own; None if it is none."""
        try:
            return decode(self.body)
        except MessageError:
            return None


@dataclass(frozen=True, slots=True)
class Picture:
    """What a video holds, as any player would find it: independent of the pipeline's own code."""

    times: tuple[Fraction, ...]
    """Seconds of every frame."""
    numbers: tuple[int, ...]
    """What the fields of each frame tell about its place in the source."""
    sound: tuple[str, ...]
    """Digest of every packet of sound, with its time."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A video that the run put into storage, and what must come of it."""

    job_id: str
    name: str
    clip: str
    """Name of the clip: uploads of one clip must have byte-identical results."""
    at: float
    etag: str = ""
    """Of this version of the blob; a name may have several, each with a job of its own."""
    tampered: frozenset[int] = frozenset()
    """Chunks whose stored frames the run has damaged: alone a reason for the job to fail."""
    damaged_by: frozenset[str] = frozenset()
    """Codes that its job may fail with, since what lies in storage was damaged otherwise."""
    muted: bool = False
    """Whether the run has damaged its copied tracks: its result may go without, and say so."""
    poisoned: frozenset[int] = frozenset()
    """Chunks that the run made deadly to whoever painted them: another such reason."""
    cancelled: bool = False
    """Whether the run took the wish back; the job may have ended before."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip, and the result of a run without faults."""

    source: Picture
    references: Mapping[Making, str] = field(default_factory=dict)
    """Digests of the undisturbed results, by how they were made."""


@dataclass(frozen=True, slots=True)
class Result:
    """A blob in the results container, read at the end."""

    name: str
    job_id: str
    sha256: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event that told the world of a job's end."""

    job_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class Position:
    """How far a partition was written, and how far it was checkpointed, at the end."""

    hub: str
    partition: str
    last_sequence: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class History:
    """All that was seen."""

    events: tuple[HubEvent, ...] = ()
    calls: tuple[BlobCall, ...] = ()
    uploads: tuple[Upload, ...] = ()
    clips: Mapping[str, Clip] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    statuses: Mapping[str, Status] = field(default_factory=dict)
    """Each job's record at the end."""
    announcements: tuple[Announcement, ...] = ()
    positions: tuple[Position, ...] = ()
    leftovers: tuple[str, ...] = ()
    """What was there at the end beside uploads, results and records.

    Blobs as ``container/name``, work folders as ``work/name``.
    """
    copied: frozenset[tuple[str, int]] = frozenset()
    """Chunks, by job and number, whose events the run itself has sent again."""
    lost: frozenset[Place] = frozenset()
    """Events that the run itself has kept from those who were to read them."""
    troubles: tuple[tuple[float, float], ...] = ()
    """From when to when faults were at work, or what they had broken recovered."""
    peaks: Mapping[str, int] = field(default_factory=dict)
    """The most memory, in bytes, that a process of each service has had."""
    window: int = 8
    """How many of a job's chunks may wait to be painted."""
    pace_patience_s: float = 60.0
    """Time without a painted chunk after which one more may."""
    chunk_attempts: int = 5
    """How often a chunk may be tried."""
