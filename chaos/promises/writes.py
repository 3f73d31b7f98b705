"""I2: chunks, segments and manifests are written once, and every writer had the same content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.history import BlobCall
from chaos.promises.timeline import Timeline, content_writes
from chaos.promises.violation import Violation

_ONCE: Final = ("frames", "segments")
_OPENING: Final = "/opening.json"
"""What a split is begun with: another by other settings, and the first that is written holds."""


def check(timeline: Timeline) -> Iterator[Violation]:
    """Look at every writing of every blob that must be written once."""
    for (container, name), calls in timeline.blobs.items():
        if container in _ONCE:
            yield from _check_blob(f"{container}/{name}", calls)
    yield from _check_announcements(timeline)


def _check_blob(blob: str, calls: list[BlobCall]) -> Iterator[Violation]:
    writes = content_writes(calls)
    contents = {call.sha256 for call in writes}
    if len(contents) > 1 and not blob.endswith(_OPENING):
        yield Violation(
            "I2", blob, f"it was written {len(writes)} times with {len(contents)} contents"
        )
    if any(not call.unless_exists for call in writes):
        yield Violation("I2", blob, "it was written without the condition that there be none")
    lives = 0
    for call in calls:
        if call.operation == "delete" and call.succeeded:
            lives = 0
        elif call.operation == "write" and call.succeeded:
            lives += 1
            if lives > 1:
                yield Violation("I2", blob, "storage took it twice")


def _check_announcements(timeline: Timeline) -> Iterator[Violation]:
    """Hold that a segment is there when it is announced."""
    for (job, chunk), announcements in timeline.announced.items():
        first = min((a.at for a in announcements if a.frames is not None), default=None)
        if first is None or job not in timeline.records:
            continue
        calls = timeline.blobs.get(("segments", f"{job}/{chunk:08d}.mp4"), [])
        if not any(_proves_existence(call, first) for call in calls):
            yield Violation("I2", job, f"segment {chunk} was announced before it was written")


def _proves_existence(call: BlobCall, at: float) -> bool:
    """Tell whether a call shows that its blob was there at a time."""
    if call.began > at:
        return False
    if call.operation == "write":
        # Refused, since it exists; or without an answer, when it may have been written.
        return call.succeeded or call.status in (0, 409, 412)
    return call.succeeded and call.operation in ("read", "facts")
