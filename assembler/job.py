"""One open job as the assembler sees it: what was announced, and what to tell the user. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from assembler.completeness import Completeness
from shared.consumer import Delivery
from shared.manifest import Manifest
from shared.messages import SplitStarted
from shared.status import Failure, Status

_NAMED_MISSING: Final = 10  # a sentence, not a list


def opening(event: SplitStarted) -> Status:
    """Return the first status record of a job."""
    now = utc_now()
    return Status(
        job_id=event.job_id,
        state="splitting",
        video_name=event.video_name,
        video_url=event.video_url,
        style=event.style,
        started_at=now,
        updated_at=now,
    )


class Job:
    """The state of an open job, rebuilt from its events after every restart."""

    def __init__(self, status: Status, etag: str | None, clock: Callable[[], float]) -> None:
        self.status = status
        self.etag = etag
        """Version of the stored record that `status` supersedes; None before the first write."""
        self.completeness = Completeness()
        self.manifest: Manifest | None = None
        self.deliveries: list[Delivery] = []
        self.concluding = False
        """Whether the job is being brought to its end; nothing it hears changes that any more."""
        self._clock = clock
        self._progressed = clock()
        self._stored = status if etag else None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.status.job_id

    @property
    def unsaved(self) -> bool:
        """Whether the stored record is behind."""
        return self.status != self._stored

    @property
    def idle_s(self) -> float:
        """Seconds since the job's last progress."""
        return self._clock() - self._progressed

    def announce(self, chunk: int, frames: int) -> None:
        """Note a finished segment; see `Completeness.announce`."""
        self.completeness.announce(chunk, frames)
        self._update(
            chunks_stylized=self.completeness.chunks, frames_stylized=self.completeness.frames
        )

    def seal(self, manifest: Manifest) -> None:
        """Learn the exact list of chunks; see `Completeness.seal`."""
        self.completeness.seal(manifest)
        self.manifest = manifest
        self._update(
            state="stylizing",
            frames=manifest.frames,
            chunks=len(manifest.chunks),
            source=manifest.source,
            warnings=manifest.warnings,
        )

    def assemble(self) -> None:
        """Note that the result is being made."""
        self._update(state="assembling")

    def publish(self, result: str) -> None:
        """Note that the result is there for everybody to see."""
        degraded = self.manifest is not None and self.manifest.damaged
        self._update(state="degraded" if degraded else "done", result=result)

    def fail(self, code: str, message: str) -> None:
        """Note why there will be no result."""
        self._update(state="failed", error=Failure(code=code, message=message))

    def saved(self, status: Status, etag: str) -> None:
        """Note that ``status`` is stored as version ``etag``."""
        self._stored, self.etag = status, etag

    def explain_stall(self) -> str:
        """Say in one sentence what the job waits for."""
        if self.manifest is None:
            return f"no progress for {self.idle_s:.0f} s while the video was being split"
        missing = self.completeness.missing()
        named = ", ".join(map(str, missing[:_NAMED_MISSING]))
        more = f" and {len(missing) - _NAMED_MISSING} more" if len(missing) > _NAMED_MISSING else ""
        return f"no progress for {self.idle_s:.0f} s; missing chunks: {named}{more}"

    def _update(self, **changes: Any) -> None:
        self._progressed = self._clock()
        self.status = self.status.model_copy(update={**changes, "updated_at": utc_now()})


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
