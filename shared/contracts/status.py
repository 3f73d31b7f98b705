"""The status record: what a user is told about a job.

The assembler alone writes it, under the record's ETag, with one exception: a user cancels a job by
ending its record, and all services follow.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from shared.contracts.manifest import Source
from shared.contracts.style_request import StyleRequest
from shared.contracts.values import Value

State = Literal["splitting", "stylizing", "assembling", "done", "degraded", "failed", "cancelled"]
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
    error: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self.state in ENDED
