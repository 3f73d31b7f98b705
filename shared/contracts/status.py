"""The status record: what a user sees of a job.

Only the assembler writes it, conditionally on the record's ETag, with two exceptions. A user
cancels a job by ending its record, and all services follow; one who deletes a cancelled job before
they have done so marks the record (`DELETED`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ValidationError

from shared.contracts.errors import PermanentError
from shared.contracts.manifest import Source
from shared.contracts.messages import EventPlace
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import Value, first_problem

State = Literal[
    "queued", "splitting", "stylizing", "assembling", "done", "degraded", "failed", "cancelled"
]
_SUMMARY: Final = "summary"
_MOST_CHARACTERS: Final = 7000
"""Storage accepts 8 KiB of metadata, names included."""

CLOSED: Final = "closed"
"""Metadata key of a cancelled job's record: its assembler no longer needs it."""

DELETED: Final = "deleted"
"""Metadata key of a cancelled job's record: its user has deleted the job. It is no longer shown,
but tells the services to stop; the assembler that does so deletes it."""

ENDED: frozenset[State] = frozenset({"done", "degraded", "failed", "cancelled"})


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""A moment as ISO 8601, with its offset from UTC."""

MomentOrEmpty = Annotated[str, AfterValidator(lambda text: text and _moment(text))]


class SplitProgress(Value):
    """The progress of a split. Only the splitter writes it, even while it is waiting."""

    frames: int
    chunks: int
    at: MomentOrEmpty = ""
    """When the splitter wrote this: UTC, ISO 8601."""
    waiting_for: str | None = None
    """What it waits for; see `Waiting`. None while it splits."""


class Waiting(Value):
    """What a job waits for. It may wait almost without limit, so people must see the reason."""

    reason: str
    """Completes "waiting for ...": ``"a stylizer"``, ``"a splitter"``."""
    since: Moment
    """When the job last made progress: UTC, ISO 8601."""


class Failure(Value):
    """Why a job failed: a code for machines, a sentence for people."""

    code: str
    message: str


class Cost(Value):
    """What painting a job and making its result have taken so far, in seconds.

    A lane of a stylizer and the making of a result count as one CPU core each, however much of it
    they really use; painting on a GPU counts as GPU time only. The split is not included.
    """

    cpu_s: float = 0.0
    gpu_s: float = 0.0


class Status(Value):
    """A job's state, progress and outcome. Times are UTC, ISO 8601."""

    schema_version: int = 1
    job_id: str
    state: State
    video_name: str
    video_url: str
    style: StyleRequest
    frames: int = 0
    """Frames of the whole video; 0 until the split is complete."""
    chunks: int = 0
    """Chunks of the whole video; 0 until the split is complete."""
    frames_stylized: int = 0
    chunks_stylized: int = 0
    uploaded_at: MomentOrEmpty = ""
    """When the upload was written; empty if unknown."""
    started_at: Moment
    first_segment_at: Moment | None = None
    """When the first segment was painted."""
    updated_at: Moment
    result: str | None = None
    """Name of the result in the results container."""
    source: Source | None = None
    """What the video turned out to be: its size before and after, its tracks, what was dropped."""
    cost: Cost = Cost()
    warnings: tuple[str, ...] = ()
    waiting: Waiting | None = None
    """What an open job is waiting for; None while it progresses or has only just stopped."""
    error: Failure | None = None
    upload_event: EventPlace | None = None
    """The upload's event, as reported by the splitter that last took it up."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self.state in ENDED


def read_status(data: bytes) -> Status:
    """Read a stored record.

    Raises:
        PermanentError: ``RECORD_UNREADABLE``: it was not written by a service of this version.
    """
    try:
        return Status.model_validate_json(data)
    except ValidationError as error:
        raise PermanentError(
            "RECORD_UNREADABLE",
            f"the job's record cannot be read ({first_problem(error)}): it was edited, or written "
            "by another version of the services",
        ) from error


def readable_status(data: bytes | None) -> Status | None:
    """Read a stored record; None if it is missing or unreadable, which its assembler reports."""
    try:
        return None if data is None else read_status(data)
    except PermanentError:
        return None


def write_summary(status: Status) -> dict[str, str]:
    """Return metadata that describes a job in a listing; empty if it would not fit.

    It is the record without the fields that are only shown for a single job.
    """
    left_out = {"source", "warnings", "upload_event"}
    content = status.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    text = json.dumps(content, separators=(",", ":"))
    return {_SUMMARY: text} if len(text) <= _MOST_CHARACTERS else {}


def read_summary(metadata: Mapping[str, str]) -> Status | None:
    """Return the record that `write_summary` wrote; None if it is missing or unreadable."""
    try:
        return Status.model_validate_json(metadata[_SUMMARY])
    except (KeyError, ValidationError):
        return None
