"""Records what is seen while a stack runs, and lets faults wait for a certain progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from chaos.history import BlobCall, HubEvent, Place, Upload
from shared.contracts.layout import job_id, status_blob
from shared.contracts.messages import ChunkReady
from shared.contracts.status import Status
from shared.contracts.style_request import StyleRequest

_CHUNKS: Final = frozenset({"frames", "segments"})


class Recorder:
    """All calls, events and uploads so far, in the order in which they were recorded."""

    def __init__(self) -> None:
        self.calls: list[BlobCall] = []
        self.events: list[HubEvent] = []
        self.uploads: list[Upload] = []
        self.steps = 0
        """Chunks and segments written so far, as a measure of progress."""
        self.copied: set[tuple[str, int]] = set()
        """Chunks, by job and number, whose events the run has sent again."""
        self.lost: set[Place] = set()
        """Events that the run has withheld from their readers."""
        self.troubles: list[tuple[float, float]] = []
        """The times during which faults were active, or the pipeline recovered from them."""
        self._progress = asyncio.Event()

    def begin_anew(self) -> None:
        """Forget everything that was seen, like recreated hubs."""
        for seen in (self.calls, self.events, self.uploads, self.troubles):
            seen.clear()
        self.copied.clear()
        self.lost.clear()

    def note_call(self, call: BlobCall) -> None:
        """Note a request to storage."""
        self.calls.append(call)
        if call.operation == "write" and call.container in _CHUNKS and call.succeeded:
            self.steps += 1
        self._tell()

    def note_event(self, event: HubEvent) -> None:
        """Note an event in a hub."""
        self.events.append(event)
        self._tell()

    def note_copies(self, events: Iterable[HubEvent]) -> None:
        """Note that the run sends events again."""
        messages = [event.message for event in events]
        self.copied |= {(m.job_id, m.chunk.index) for m in messages if isinstance(m, ChunkReady)}

    def note_lost(self, places: Iterable[Place]) -> None:
        """Note that the run makes readers skip events."""
        self.lost |= set(places)

    def note_trouble(self, began: float, until: float) -> None:
        """Note that a fault was active."""
        self.troubles.append((began, until))

    def note_version(self, name: str, etag: str, clip: str, style: str) -> Upload:
        """Note that the run has made a version of an upload."""
        job = job_id("uploads", name, etag, StyleRequest(style=style))
        upload = Upload(job, name, clip, at=time.time(), etag=etag)
        self.uploads.append(upload)
        return upload

    def note_damage(self, job_id: str, chunk: int) -> None:
        """Note that the run has damaged a chunk."""
        upload = self._take_upload(job_id)
        self.uploads.append(replace(upload, tampered=upload.tampered | {chunk}))

    def note_damage_by(self, job_id: str, code: str) -> None:
        """Note damage by the run, because of which the job may fail with ``code``."""
        upload = self._take_upload(job_id)
        self.uploads.append(replace(upload, damaged_by=upload.damaged_by | {code}))

    def note_muting(self, job_id: str) -> None:
        """Note that the run has damaged a job's copied tracks."""
        self.uploads.append(replace(self._take_upload(job_id), muted=True))

    def note_poison(self, job_id: str, chunk: int) -> None:
        """Note that the run kills every process that paints a chunk."""
        upload = self._take_upload(job_id)
        self.uploads.append(replace(upload, poisoned=upload.poisoned | {chunk}))

    def note_cancelling(self, job_id: str) -> None:
        """Note that the run is about to cancel a job."""
        self.uploads.append(replace(self._take_upload(job_id), cancelled=True))

    def note_deletion(self, job_id: str) -> None:
        """Note that the run is about to delete a job, with its upload unless that is another's."""
        upload = self._take_upload(job_id)
        self.uploads.append(replace(upload, deleted=True))
        self.note_withdrawal(upload.name)

    def note_withdrawal(self, name: str) -> None:
        """Note that the run is about to delete an upload."""
        self.uploads = [
            replace(upload, withdrawn=True) if upload.name == name else upload
            for upload in self.uploads
        ]

    def had_ended(self, job_id: str, at: float) -> bool:
        """Return whether a job's record said at a time that it had ended."""
        return any(call.began <= at and _ends(job_id, call) for call in self.calls)

    async def job_ends(self, job_id: str) -> None:
        """Wait until a job's record says that it has ended."""
        looked_at = 0
        while not any(_ends(job_id, call) for call in self.calls[looked_at:]):
            looked_at = len(self.calls)
            await self.progress()

    def _take_upload(self, job_id: str) -> Upload:
        place = next(i for i, upload in enumerate(self.uploads) if upload.job_id == job_id)
        return self.uploads.pop(place)

    async def progress(self) -> None:
        """Wait until something more is recorded."""
        await self._progress.wait()

    async def reach(self, steps: int) -> None:
        """Wait until ``steps`` chunks and segments are written."""
        while self.steps < steps:
            await self.progress()

    def _tell(self) -> None:
        # Wakes everything that waits now; later waits use the new event.
        waiting, self._progress = self._progress, asyncio.Event()
        waiting.set()


def _ends(job_id: str, call: BlobCall) -> bool:
    if call.name != status_blob(job_id) or call.operation != "write" or not call.succeeded:
        return False
    return call.body is not None and Status.model_validate_json(call.body).ended
