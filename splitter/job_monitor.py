"""Watch the splits in hand: record their progress, learn how much is painted, notice a job's end.

A job can end elsewhere, by a failed chunk or a user who cancels. Its split ends with it.

Thousands of splits may wait in one splitter, for their turn, for the stylizers or for a budget.
They share a number of looks a second, so each looks more rarely the more there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

from shared.contracts.errors import StylestreamError
from shared.contracts.status import SplitProgress, Status, utc_now
from shared.storage.blobs import BlobStore
from shared.storage.progress import store_progress
from shared.storage.retry import Retry
from shared.storage.statuses import is_end_marked, load_status
from shared.tasks.waits import is_set_within
from splitter.cuts import Cuts
from splitter.pace import Pace
from splitter.settings import SplitterSettings

# A waiting split renews its record this often, or every ten progress intervals if that is sooner.
_SIGN_OF_LIFE_S: Final = 10.0
_LOOKS: Final = 10
_LOOKS_A_SECOND: Final = 20
"""Of all waiting splits together; each costs storage one or two requests."""


def sign_of_life_s(settings: SplitterSettings) -> float:
    """Return the longest time, in seconds, that a live split leaves its record untouched.

    Where more than some 200 wait in one splitter, each leaves it for longer.
    """
    return settings.progress_interval_s + _pause_s(settings)


def _pause_s(settings: SplitterSettings) -> float:
    return min(_SIGN_OF_LIFE_S, _LOOKS * settings.progress_interval_s)


class JobOver(StylestreamError):
    """The job ended elsewhere while its video was being split."""


class JobMonitors:
    """Makes the monitors of one splitter's splits and lets them share their looks."""

    def __init__(self, settings: SplitterSettings, blobs: BlobStore, retry: Retry) -> None:
        self.settings = settings
        self.blobs = blobs
        self.retry = retry
        self._running = 0

    def of(self, job_id: str) -> JobMonitor:
        """Return the monitor of one split."""
        return JobMonitor(job_id, self)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count one more monitor that runs."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def interval_s(self, *, waiting: bool) -> float:
        """Return how long a split, at work or ``waiting``, leaves its job unwatched."""
        at_work = self.settings.progress_interval_s
        return max(at_work, self._running / _LOOKS_A_SECOND) if waiting else at_work


class JobMonitor:
    """Keeps one split's progress record up to date and reads the job's record."""

    def __init__(self, job_id: str, shared: JobMonitors) -> None:
        self._job_id = job_id
        self._shared = shared
        self._settings = shared.settings
        self._blobs = shared.blobs
        self._retry = shared.retry
        self._waiting_for: str | None = None
        self._turned = asyncio.Event()
        """Set when the split begins to wait, or goes on."""
        self._recorded: SplitProgress | None = None
        self._recorded_at = 0.0

    @property
    def has_recorded(self) -> bool:
        """Whether a record of the split's progress may be stored."""
        return self._recorded is not None

    @property
    def waiting_for(self) -> str | None:
        """What holds up the split; completes "waiting for ..."."""
        return self._waiting_for

    @waiting_for.setter
    def waiting_for(self, reason: str | None) -> None:
        if reason != self._waiting_for:
            self._turned.set()
        self._waiting_for = reason

    async def run(self, pace: Pace, cuts: Cuts) -> None:
        """Watch a split that adds to ``cuts``, until cancelled.

        Raises:
            JobOver: the job has ended.
        """
        with self._shared.running():
            while True:
                await self._until_due()
                # First: if this process stood still, the job may have ended and been cleaned up.
                status = await self.check()
                if status is not None:
                    pace.update_painted(status.chunks_stylized)
                await self._record(cuts)

    async def _until_due(self) -> None:
        """Wait until the next look is due: soon, unless the split waits and that is recorded."""
        looked = time.monotonic()
        while True:
            self._turned.clear()
            news = self._waiting_for != (self._recorded and self._recorded.waiting_for)
            waiting = self._waiting_for is not None and not news
            left = looked + self._shared.interval_s(waiting=waiting) - time.monotonic()
            if left <= 0:
                return
            await is_set_within(self._turned, left)

    async def check(self) -> Status | None:
        """Return the job's record; None if there is none yet or it cannot be read.

        Raises:
            JobOver: the job has ended, and may be deleted by now.
        """
        jobs, frames = self._settings.jobs_container, self._settings.frames_container
        status = await self._retry(lambda: load_status(self._blobs, jobs, self._job_id))
        if status is not None and status.ended:
            raise JobOver(f"the job is {status.state}")
        if status is None and await self._retry(
            lambda: is_end_marked(self._blobs, frames, self._job_id)
        ):
            raise JobOver("the job was deleted")
        return status

    async def _record(self, cuts: Cuts) -> None:
        """Store the split's progress, unless the stored record is recent and unchanged."""
        now = SplitProgress(frames=cuts.frames, chunks=len(cuts), waiting_for=self.waiting_for)
        recent = time.monotonic() - self._recorded_at < _pause_s(self._settings)
        if recent and now == self._recorded:
            return
        self._recorded, self._recorded_at = now, time.monotonic()
        container, dated = self._settings.jobs_container, now.model_copy(update={"at": utc_now()})
        await self._retry(lambda: store_progress(self._blobs, container, self._job_id, dated))
