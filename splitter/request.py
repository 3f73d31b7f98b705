"""The value that the splitter's steps pass on: an upload's event and the opening of its job."""

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
"""Openings are kept for three days: an older upload may have had one that is gone."""


@dataclass(frozen=True, slots=True)
class SplitRequest:
    """An upload's event and the opening of its job: all that a split needs.

    ``problem`` is why the upload cannot be split; its job is opened only to report that.
    ``version`` is that of the opening if nobody can have begun the split before, else None.
    """

    upload: Upload
    opening: Opening
    version: str | None
    problem: PermanentError | None
    delivery: Delivery

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.opening.job_id

    @property
    def is_first(self) -> bool:
        """Whether nothing of the job can exist yet: its opening was written just now."""
        uploaded_at = self.opening.video.uploaded_at
        recent = uploaded_at is not None and datetime.now(UTC) - uploaded_at < _RECENT
        return recent and self.version is not None

    def started(self, *, queued: bool) -> SplitStarted:
        """Return the message to the assembler: the job is queued, or its split begins."""
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
                at=datetime.now(UTC),
            ),
        )
