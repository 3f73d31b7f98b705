"""Segments that differ in style or encoder, and what a record says about them."""

from __future__ import annotations

import time

import pytest
from manifests import manifest

from assembler.job import Job, first_record
from assembler.redrive import Verdict
from shared.contracts.messages import SegmentReady, SplitStarted
from shared.contracts.style_request import StyleRequest
from shared.hubs.reach import Reach

ID = "0" * 24


def job_of(chunks: int, redrives: int = 3) -> Job:
    request = StyleRequest(style="starry-night")
    started = SplitStarted(job_id=ID, video_name="v", video_url="u", etag="e", style=request)
    job = Job(first_record(started), None, redrives, time.monotonic)
    job.seal(manifest(ID, [8] * chunks))
    return job


def hear(job: Job, *said: tuple[int, str]) -> None:
    """Announce segments, each of a chunk and in a version of the style."""
    for chunk, styles in said:
        job.announce(SegmentReady(job_id=ID, chunk=chunk, frames=8, styles=styles))


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("0a 1a 2a", []),
        ("0a 1b 2b", [0]),
        # Both are at work for a while: what came last is what stays
        ("0b 1a 2b", [1]),
        # An old event comes again, and changes nothing
        ("0a 1b 2b 0a", [0]),
        # Who is asked for another, and has none, says what is there
        ("0a 1b 2b 0a 0b", []),
        # What was painted anew is told of again from the beginning, and some of it twice
        ("0a 1b 2b 0b 0a", []),
        # A third version, which comes with the answer
        ("0a 1b 2b 0c", [1, 2]),
        # Stylizers of an earlier release do not say; nor does what shows original frames
        ("0- 1a 2a", []),
        ("0- 1a 2b", [1]),
    ],
)
def test_all_segments_have_to_be_of_the_version_that_stays(said: str, missing: list[int]) -> None:
    job = job_of(3)
    hear(job, *((int(word[0]), word[1].replace("-", "")) for word in said.split()))
    assert job.completeness.missing() == missing
    assert job.completeness.complete == (not missing)


def test_a_version_that_cannot_be_had_gives_way_to_the_one_before_and_then_to_any() -> None:
    job = job_of(3)
    hear(job, (0, "a"), (1, "b"), (2, "c"))
    assert (job.completeness.agreement.version, job.completeness.missing()) == ("c", [0, 1])
    job.give_up_version()
    assert (job.completeness.agreement.version, job.completeness.missing()) == ("b", [0, 2])
    hear(job, (0, "b"))
    assert job.completeness.missing() == [2]
    job.give_up_version()
    job.give_up_version()
    assert job.completeness.complete


def test_a_replaced_segment_no_longer_counts() -> None:
    job = job_of(2)
    how = {"encoder": "nvenc-1", "styles": "before", "gpu": True, "work_s": 1}
    on_gpu = SegmentReady(job_id=ID, chunk=0, frames=8, unpainted="CHUNK_POISONED", **how)
    job.announce(on_gpu)
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


class Pool:
    """Stylizers that do not all have the version that a job is to have, and a hub between them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._events = -1

    def look(self) -> Verdict:
        """Judge what is missing, all that was sent being worked off."""
        missing = dict.fromkeys(self._job.completeness.missing(), 0)
        verdict = self._job.redrive.judge(missing, Reach((self._events,), (self._events,)))
        if verdict.action == "resend":
            self._events += len(verdict.lost)
        return verdict


@pytest.mark.parametrize("redrives", [1, 3])
def test_a_version_that_some_stylizers_have_is_asked_for_until_all_is_painted_in_it(
    redrives: int,
) -> None:
    job = job_of(9, redrives)
    hear(job, *((chunk, "a") for chunk in range(8)), (8, "b"))
    pool = Pool(job)
    for chunk in range(8):
        # In as many rounds as there are, one comes to a stylizer that has the version
        assert [pool.look().action for _ in range(redrives)] == ["resend"] * redrives
        hear(job, (chunk, "b"))
    assert job.completeness.complete


def test_a_version_that_nobody_has_is_asked_for_as_often_as_a_lost_chunk_is_sent() -> None:
    job = job_of(3, redrives=2)
    hear(job, (0, "a"), (1, "a"), (2, "b"))
    pool = Pool(job)
    actions = []
    for _ in range(3):
        actions.append(pool.look().action)
        # They say what is there, which is no progress
        hear(job, (0, "a"), (1, "a"))
    assert actions == ["resend", "resend", "give_up"]


def test_the_next_owner_of_a_job_knows_how_often_a_version_was_asked_for() -> None:
    log = [SegmentReady(job_id=ID, chunk=n, frames=8, styles=v) for n, v in enumerate("aab")]
    actions = []
    for resend in (1, 2, 3):
        job = job_of(3, redrives=2)
        for event in (*log, *log):  # events may come twice
            job.announce(event)
        verdict = Pool(job).look()
        actions.append(verdict.action)
        assert {job.redrive.sent(chunk) for chunk in verdict.lost} == {min(resend, 2)}
        # No stylizer has the version: each says what there is, and what it was asked for
        log += [event.model_copy(update={"wanted": "b", "resend": resend}) for event in log[:2]]
    assert actions == ["resend", "resend", "give_up"]
    job.give_up_version()
    # The version before is asked for anew
    assert (job.completeness.missing(), Pool(job).look().action) == ([2], "resend")


def test_rounds_counted_in_the_log_start_again_when_a_chunk_is_painted_again() -> None:
    job = job_of(3, redrives=1)
    hear(job, (0, "a"), (1, "a"), (2, "b"))
    job.announce(SegmentReady(job_id=ID, chunk=0, frames=8, styles="a", wanted="b", resend=1))
    job.announce(SegmentReady(job_id=ID, chunk=1, frames=8, styles="b", wanted="b", resend=1))
    assert Pool(job).look() == Verdict("resend", (0,))
    assert job.redrive.sent(0) == 2
