"""I2: chunks, segments and manifests are written once, and every writer had the same content.

A segment may be replaced, under its version, by one in another version of the style.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from chaos.history import BlobCall
from chaos.promises.timeline import Timeline, content_writes
from chaos.promises.violation import Violation
from shared.contracts.manifest import Manifest
from shared.contracts.segment_place import STYLES

_ONCE: Final = ("frames", "segments")
_MANIFEST: Final = "/manifest.json"
_OPENING: Final = "/opening.json"
"""How a split is done; it differs under other settings, and the first one written counts."""


def check(timeline: Timeline) -> Iterator[Violation]:
    """Check every write of every blob that must be written once."""
    for (container, name), calls in timeline.blobs.items():
        if container in _ONCE:
            yield from _check_blob(f"{container}/{name}", calls)
    yield from _check_announcements(timeline)


def _check_blob(blob: str, calls: list[BlobCall]) -> Iterator[Violation]:
    writes = content_writes(calls)
    contents = {call.metadata.get(STYLES, ""): set[str]() for call in writes}
    for call in writes:
        contents[call.metadata.get(STYLES, "")].add(_content(call))
    most = max(map(len, contents.values()), default=0)
    if most > 1 and not blob.endswith(_OPENING):
        yield Violation("I2", blob, f"it was written {len(writes)} times with {most} contents")
    if any(not (call.unless_exists or _replaces(call)) for call in writes):
        yield Violation("I2", blob, "it was written without the condition that it does not exist")
    there: str | None = None
    for call in calls:
        if call.operation == "delete" and call.succeeded:
            there = None
        elif call.operation == "write" and call.succeeded:
            styles = call.metadata.get(STYLES, "")
            if there is not None and not (_replaces(call) and styles != there):
                yield Violation("I2", blob, "storage accepted it twice")
            there = styles


def _content(call: BlobCall) -> str:
    """Return what a write's content is told apart by.

    A manifest by what this version knows of it, because a later one, rolled out meanwhile, adds to
    it.
    """
    if call.body is not None and call.name.endswith(_MANIFEST):
        return Manifest.model_validate_json(call.body).to_json().decode()
    return call.sha256


def _replaces(call: BlobCall) -> bool:
    """Return whether a write replaces a segment under its ETag."""
    return call.container == "segments" and call.if_version and STYLES in call.metadata


def _check_announcements(timeline: Timeline) -> Iterator[Violation]:
    """Check that a segment exists when it is announced."""
    for (job, chunk), announcements in timeline.announced.items():
        first = min((a.at for a in announcements if a.frames is not None), default=None)
        if first is None or job not in timeline.records:
            continue
        calls = timeline.blobs.get(("segments", f"{job}/{chunk:08d}.mp4"), [])
        if not any(_proves_existence(call, first) for call in calls):
            yield Violation("I2", job, f"segment {chunk} was announced before it was written")


def _proves_existence(call: BlobCall, at: float) -> bool:
    """Return whether a call shows that its blob existed at a time."""
    if call.began > at:
        return False
    if call.operation == "write":
        # A refused write shows that it exists; a write without an answer may have been done.
        return call.succeeded or call.status in (0, 409, 412)
    return call.succeeded and call.operation in ("read", "facts")
