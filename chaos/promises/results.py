"""I3, I4, ALIKE: results are whole, exact, independent of faults, and at most one per job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chaos.history import BlobCall, Result, Upload
from chaos.promises.timeline import NEVER, Timeline, content_writes, frames_by_chunk
from chaos.promises.violation import Violation


def check(timeline: Timeline) -> Iterator[Violation]:
    """Check what was published, and what the records said about it."""
    results = {result.job_id: result for result in timeline.history.results}
    for upload in timeline.history.uploads:
        if (result := results.get(upload.job_id)) is not None:
            yield from _check_exact(upload, result, timeline)
    yield from _check_published(timeline)
    yield from _check_once(timeline)


def _check_exact(upload: Upload, result: Result, timeline: Timeline) -> Iterator[Violation]:
    clip = timeline.history.clips[upload.clip]
    silent = _may_be_silent(upload, result, timeline)
    for what, promised, found in (
        ("times of frames", clip.source.times, result.picture.times),
        ("order of pictures", clip.source.numbers, result.picture.numbers),
        ("packets of sound", () if silent else clip.source.sound, result.picture.sound),
    ):
        if found != promised:
            yield Violation(
                "I3",
                upload.job_id,
                f"the {what} of {result.name} are not the source's "
                f"({len(found)} of them, not {len(promised)}, or others)",
            )
    if not timeline.versions(upload.job_id):
        yield Violation("ALIKE", upload.job_id, f"{result.name} is in several versions of a style")
    making = timeline.making(upload.job_id)
    wanted = clip.references.get(making, result.sha256) if making else result.sha256
    if not silent and result.sha256 != wanted:
        yield Violation(
            "I3", upload.job_id, f"{result.name} differs from the result of a run without faults"
        )


def _may_be_silent(upload: Upload, result: Result, timeline: Timeline) -> bool:
    """Return whether a result lacks its sound because that was damaged, and its record says so."""
    status = timeline.history.statuses.get(upload.job_id)
    degraded = status is not None and status.state == "degraded" and bool(status.warnings)
    return upload.muted and degraded and not result.picture.sound


def _check_published(timeline: Timeline) -> Iterator[Violation]:
    """Check that every frame of every chunk was painted before a result was written."""
    jobs = {result.name: result.job_id for result in timeline.history.results}
    for (container, name), calls in timeline.blobs.items():
        if container != "results":
            continue
        for call in content_writes(calls):
            if not (call.unless_exists or call.if_version):
                yield Violation("I3", name, "it was written over whatever was there")
            if call.succeeded and (job := call.metadata.get("job_id") or jobs.get(name)):
                yield from _check_whole(job, name, call, timeline)


def _check_whole(job: str, name: str, call: BlobCall, timeline: Timeline) -> Iterator[Violation]:
    manifest = timeline.manifest(job)
    if manifest is None:
        yield Violation("I3", job, f"{name} was published without a manifest")
        return
    painted = timeline.painted(job)
    for chunk, frames in frames_by_chunk(manifest).items():
        at, count = painted.get(chunk, (NEVER, frames))
        if at > call.began or count != frames:
            yield Violation("I3", job, f"{name} was published before chunk {chunk} was painted")


def _check_once(timeline: Timeline) -> Iterator[Violation]:
    for job, count in Counter(result.job_id for result in timeline.history.results).items():
        if count > 1:
            yield Violation("I4", job, f"it has {count} results")
    for job, records in timeline.records.items():
        ended = [status for _, status in records if status.ended]
        # A newer version's result may take the name, and the older one moves.
        outcomes = {(status.state, status.result is not None) for status in ended}
        if len(outcomes) > 1:
            yield Violation("I4", job, f"its record reported different ends: {sorted(outcomes)}")
        if ended and not records[-1][1].ended:
            yield Violation(
                "I4", job, f"its record went on to {records[-1][1].state} after its end"
            )
