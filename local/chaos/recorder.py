"""Collects what is seen while a stack runs, and lets faults wait for the work to get somewhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from local.chaos.history import BlobCall, HubEvent, Upload

_CHUNKS: Final = frozenset({"frames", "segments"})


class Recorder:
    """All calls, events and uploads so far, in the order in which they were noted."""

    def __init__(self) -> None:
        self.calls: list[BlobCall] = []
        self.events: list[HubEvent] = []
        self.uploads: list[Upload] = []
        self.steps = 0
        """Chunks and segments written so far: how far the work has come."""
        self._progress = asyncio.Event()

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

    def note_upload(self, upload: Upload) -> None:
        """Note that the run has uploaded a video."""
        self.uploads.append(upload)

    def note_tampering(self, job_id: str, chunk: int) -> None:
        """Note that the run has damaged a chunk."""
        for place, upload in enumerate(self.uploads):
            if upload.job_id == job_id:
                self.uploads[place] = replace(upload, tampered=upload.tampered | {chunk})

    async def progress(self) -> None:
        """Wait until something more is noted."""
        await self._progress.wait()

    async def reach(self, steps: int) -> None:
        """Wait until so many chunks and segments are written."""
        while self.steps < steps:
            await self.progress()

    def _tell(self) -> None:
        # Whoever waits is woken; whoever comes later waits for the next.
        waiting, self._progress = self._progress, asyncio.Event()
        waiting.set()
