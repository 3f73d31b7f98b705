"""I5, END, TOLD, TIDY: uploads end for good reasons, as announced, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.history import History, Upload
from chaos.promises.timeline import Timeline
from chaos.promises.violation import Violation
from shared.contracts.layout import result_blob
from shared.contracts.status import Status

_OF_DAMAGE: Final = "CORRUPT_CHUNK"
_OF_POISON: Final = "CHUNK_POISONED"
_OF_WITHDRAWAL: Final = ("SOURCE_CHANGED", "STALLED")
"""The second if the event of the upload was lost, too: nobody can announce it again."""


def check(timeline: Timeline) -> Iterator[Violation]:
    """Check the state at the end."""
    history = timeline.history
    for upload in history.uploads:
        yield from _check_end(upload, history.statuses.get(upload.job_id), timeline)
        yield from _check_announced(upload, history)
    for place in history.positions:
        if place.checkpoint != place.last_sequence:
            yield Violation(
                "I5",
                f"{place.hub}/{place.partition}",
                f"the checkpoint is at {place.checkpoint}, the last event at {place.last_sequence}",
            )
    for blob in history.leftovers:
        yield Violation("TIDY", blob, "it was left over")


def _check_announced(upload: Upload, history: History) -> Iterator[Violation]:
    job = upload.job_id
    status = history.statuses.get(job)
    announced = [event.status for event in history.announcements if event.job_id == job]
    if upload.deleted and status is None:
        # Whoever was to announce it may have been killed, and its events are without a job.
        if len({other.state for other in announced}) > 1:
            yield Violation("TOLD", job, "it was announced with different ends")
        return
    if status is not None and status.ended and not announced:
        yield Violation("TOLD", job, f"its end was not announced: {status.state}")
    for other in announced:
        if status is None or other != status.model_copy(update=_moved(other, status)):
            yield Violation("TOLD", job, f"it was announced as {other.state}, {other.result}")


def _moved(announced: Status, status: Status) -> dict[str, str]:
    """Return what has changed in a record whose result made room for a newer version's."""
    plain = result_blob(status.video_name, status.style.slug, _suffix(status))
    moved = announced.result == plain and status.result is not None
    return {"result": plain} if moved else {}


def _suffix(status: Status) -> str:
    return (status.result or "").rpartition(".")[2]


def _check_end(upload: Upload, status: Status | None, timeline: Timeline) -> Iterator[Violation]:
    job = upload.job_id
    there = [result.name for result in timeline.history.results if result.job_id == job]
    if upload.deleted:
        yield from _check_deleted(upload, status, there, timeline.history)
        return
    if status is None:
        if not upload.withdrawn:
            yield Violation("END", job, f"{upload.name} has no record")
        return
    if not status.ended:
        yield Violation("END", job, f"{upload.name} is still {status.state}")
        return
    if status.state == "cancelled" and upload.cancelled and not there:
        return
    if status.state in ("done", "degraded"):
        if [status.result] != there:
            yield Violation("END", job, f"its record names {status.result}, there is {there}")
        return
    if there:
        yield Violation("END", job, f"it failed and has a result, {there}")
    code = status.error.code if status.error else None
    ours = (
        (code == _OF_DAMAGE and upload.tampered)
        or (code == _OF_POISON and upload.poisoned)
        or (code in _OF_WITHDRAWAL and upload.withdrawn)
    )
    if not ours and code not in upload.damaged_by:
        why = status.error.message if status.error else "without a cause"
        yield Violation("END", job, f"{upload.name} failed for no fault of its own: {code}: {why}")


def _check_deleted(
    upload: Upload, status: Status | None, there: list[str], history: History
) -> Iterator[Violation]:
    left = [*there, *([f"its record: {status.state}"] if status else [])]
    if (upload.name, upload.etag) in history.videos:
        left.append("its upload")
    if left:
        yield Violation("TIDY", upload.job_id, f"it was deleted, and there is {', '.join(left)}")
