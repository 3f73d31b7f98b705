"""What the splitter's steps hand on: an upload's event and what has been made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.contracts.errors import PermanentError
from shared.contracts.messages import EventPlace, SplitStarted
from shared.hubs.delivery import Delivery
from splitter.intake.uploads import Upload
from splitter.openings import Opening

_RECENT: Final = timedelta(days=1)
"""Openings are kept for three days: of an older upload there may have been one."""


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """An upload's event and what its job was begun with: all that a split is made of.

    ``problem`` is why the upload cannot be split: the job is opened to say so. ``version`` is that
    of the opening where nobody can have begun the split before; else None.
    """

    upload: Upload
    opening: Opening
    version: str | None
    problem: PermanentError | None
    delivery: Delivery
    losses: int
    """How often the delivery's partition had been lost when it came."""

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.opening.job_id

    @property
    def is_first(self) -> bool:
        """Whether there can be nothing of the job yet: its opening was written just now."""
        uploaded_at = self.opening.video.uploaded_at
        recent = uploaded_at is not None and datetime.now(UTC) - uploaded_at < _RECENT
        return recent and self.version is not None

    def started(self, *, queued: bool) -> SplitStarted:
        """Return what the assembler is told: that the job is there, or that its split begins."""
        video = self.opening.video
        return SplitStarted(
            job_id=self.job_id,
            video_name=video.name,
            video_url=video.url,
            etag=video.etag,
            style=self.opening.style,
            uploaded_at=video.uploaded_at,
            queued=queued,
            upload_event=EventPlace(
                partition_id=self.delivery.partition_id,
                sequence_number=self.delivery.sequence_number,
            ),
        )
