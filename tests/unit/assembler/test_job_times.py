"""How long a job takes is measured from its upload, whatever a user writes into its record."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from assembler.job import Job, first_record
from shared.contracts.messages import SegmentReady, SplitStarted
from shared.contracts.style_request import StyleRequest

ID = "0" * 24
HOUR_S = 3600.0


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_an_edited_record_does_not_change_how_long_a_job_has_taken(year: str) -> None:
    style = StyleRequest(style="starry-night")
    hour_ago = datetime.now(UTC) - timedelta(seconds=HOUR_S)
    started = SplitStarted(
        job_id=ID, video_name="v", video_url="u", etag="e", style=style, uploaded_at=hour_ago
    )
    edited = dict.fromkeys(("uploaded_at", "started_at"), f"{year}-01-01T00:00:00+00:00")
    # When the next assembler takes the job up from its record and its events
    job = Job(first_record(started).model_copy(update=edited), "etag", 3, time.monotonic)
    job.identify(started)
    job.announce(SegmentReady(job_id=ID, chunk=0, frames=8))
    assert job.first_segment_s is not None
    for measured_s in (job.wait_s, job.first_segment_s):
        assert HOUR_S <= measured_s < 24 * HOUR_S
    assert job.age_s < 24 * HOUR_S
