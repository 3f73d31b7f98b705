"""A style that is changed while a video is painted shows in its record, not only in its picture."""

from __future__ import annotations

import time

import pytest
from manifests import manifest

from assembler.job import Job, opening
from shared.contracts.messages import SegmentReady, SplitStarted
from shared.contracts.style_request import StyleRequest

ID = "0" * 24


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        (("a", "a", "a"), "done"),
        (("a", "b", "b"), "degraded"),
        # Stylizers of an earlier release do not say
        (("", "a", "a"), "done"),
    ],
)
def test_a_result_of_two_versions_of_a_style_is_degraded_and_says_so(
    versions: tuple[str, ...], state: str
) -> None:
    request = StyleRequest(style="starry-night")
    started = SplitStarted(job_id=ID, video_name="v", video_url="u", etag="e", style=request)
    job = Job(opening(started), None, 3, time.monotonic)
    job.seal(manifest(ID, [8] * len(versions)))
    for chunk, styles in enumerate(versions):
        job.announce(SegmentReady(job_id=ID, chunk=chunk, frames=8, styles=styles))
    job.publish("v.mp4")
    assert job.status.state == state
    assert [w for w in job.status.warnings if "the style was changed" in w] == (
        list(job.status.warnings) if state == "degraded" else []
    )
    assert len(job.status.warnings) == (state == "degraded")
