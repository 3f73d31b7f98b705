"""What a record says of segments that differ: in their style, and in who encoded them."""

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


def test_a_segment_that_was_replaced_is_no_longer_spoken_of() -> None:
    request = StyleRequest(style="starry-night")
    started = SplitStarted(job_id=ID, video_name="v", video_url="u", etag="e", style=request)
    job = Job(opening(started), None, 3, time.monotonic)
    job.seal(manifest(ID, [8, 8]))
    on_gpu = SegmentReady(job_id=ID, chunk=0, frames=8, encoder="nvenc-1", gpu=True, work_s=1)
    job.announce(on_gpu.model_copy(update={"unpainted": "CHUNK_POISONED", "styles": "before"}))
    job.announce(SegmentReady(job_id=ID, chunk=1, frames=8, styles="after"))
    assert (job.completeness.missing(), job.completeness.complete) == ([0], False)
    # Then the first is encoded on the processor, and what came before may come again
    job.announce(SegmentReady(job_id=ID, chunk=0, frames=8, styles="after", work_s=2))
    job.announce(on_gpu)
    assert job.completeness.complete
    job.publish("v.mp4")
    assert (job.status.state, job.status.warnings) == ("done", ())
    # Both were work
    assert (job.status.cost.gpu_s, job.status.cost.cpu_s) == (1, 2)
