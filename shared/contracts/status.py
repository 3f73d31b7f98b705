"""The status record: what a user is told about a job.

The assembler alone writes it, under the record's ETag, with one exception: a user cancels a job by
ending its record, and all services follow.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from shared.contracts.errors import PermanentError
from shared.contracts.manifest import Source
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import Value, first_problem

State = Literal[
    "queued", "splitting", "stylizing", "assembling", "done", "degraded", "failed", "cancelled"
]
ENDED: frozenset[State] = frozenset({"done", "degraded", "failed", "cancelled"})


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class SplitProgress(Value):
    """How far a split has come. The splitter alone writes it, also while it only waits."""

    frames: int
    chunks: int
    at: str = ""
    """When the splitter said so: UTC, ISO 8601."""
    waiting_for: str | None = None
    """What it waits for; see `Waiting`. None while it splits."""


class Waiting(Value):
    """What a job waits for. Its time is as good as unlimited, and this tells people why."""

    reason: str
    """Completes "waiting for ...": ``"a stylizer"``, ``"a splitter"``."""
    since: str
    """When the job last moved: UTC, ISO 8601."""


class Failure(Value):
    """Why a job failed: a code for machines, a sentence for people."""

    code: str
    message: str


class Status(Value):
    """A job's state, how far it has come, and what came of it. Times are UTC, ISO 8601."""

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
    started_at: str
    updated_at: str
    result: str | None = None
    """Name of the result in the results container."""
    source: Source | None = None
    """What the video turned out to be: its size before and after, its tracks, what was dropped."""
    warnings: tuple[str, ...] = ()
    waiting: Waiting | None = None
    """What keeps an open job from moving; None while it moves, or has only just stopped."""
    error: Failure | None = None

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
            f"the job's record is not readable ({first_problem(error)}): somebody has edited it, "
            "or a service of another version wrote it",
        ) from error
