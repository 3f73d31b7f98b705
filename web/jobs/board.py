"""Keeps the state of all jobs for all viewers of the studio.

Storage is queried only while somebody watches, and once for all: unchanged records are not read
again, and ended ones are not queried. It is queried more often while somebody waits for a first
picture. Every change gets the next revision number, so that followers ask for the changes after the
last one that they have seen.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from shared.contracts.errors import TransientError
from shared.contracts.layout import is_job_id, status_blob
from shared.contracts.status import DELETED, SplitProgress, Status, readable_status
from shared.storage.blobs import BlobStore
from shared.storage.progress import load_progress
from shared.tasks.waits import is_set_within
from web.access.users import User
from web.jobs.pace import Pace
from web.jobs.views import job_of
from web.live.segments import Segments
from web.models import Job

_FRESH_S: Final = 0.5
"""How long a query of storage serves all viewers."""

_EAGER_S: Final = 0.15
"""The same while a job has nothing to show yet."""

_EXPECTED_S: Final = 60.0
"""How long a first picture, or the record of an upload's job, is waited for like this."""

_DISCOVERY_S: Final = 2.0
"""How often all jobs are listed, which finds new and deleted ones."""

_READS_AT_ONCE: Final = 16
"""Records that are read, and jobs whose segments are listed, at the same time."""


@dataclass(slots=True)
class Entry:
    """One job on the board."""

    status: Status
    etag: str
    job: Job
    revision: int
    frames: Pace = field(default_factory=Pace)
    playable: Pace = field(default_factory=Pace)
    read: int = 0
    """The number of the read of its record that it shows."""
    watched: bool = False
    seen_at: float = field(default_factory=time.monotonic)
    settled: bool = False
    """Whether no further segment will come."""

    @property
    def place(self) -> str:
        """The job's sort key in a list: texts of which the newest is the greatest."""
        return f"{self.status.started_at}/{self.job.id}"

    def first_seen(self) -> bool:
        """Return whether nobody has watched the job before, and note that somebody does now."""
        before, self.watched = self.watched, True
        return not before and not self.status.ended


class Board:
    """All jobs by id.

    Raises:
        TransientError: from every method that queries storage, when it cannot be reached.
    """

    def __init__(self, blobs: BlobStore, segments: Segments, container: str) -> None:
        self._blobs = blobs
        self._segments = segments
        self._container = container
        self._entries: dict[str, Entry] = {}
        self._gone: dict[str, tuple[int, str, int]] = {}
        """Of each deleted job: revision, video, and a number above those of the reads before."""
        self._expected: dict[str, float] = {}
        self._woken = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked = self._discovered = float("-inf")
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)
        self._numbers = itertools.count(1)
        self._away: str | None = None
        """Why storage did not answer the last query; None if it did."""
        self.revision = 0
        """The number of the latest change."""
        self.interval_s = _FRESH_S
        """How long a query of storage serves all viewers at present."""

    async def refresh(self) -> None:
        """Bring the board up to date."""
        async with self._looking:
            if time.monotonic() - self._looked >= self.interval_s:
                try:
                    await self._look()
                    self._away = None
                except TransientError as error:
                    # Raised to all that wait; one after another they would wait for it again.
                    self._away = str(error)
                self._looked = time.monotonic()
                self.interval_s = self._interval_s()
            if self._away is not None:
                raise TransientError(self._away)

    async def _look(self) -> None:
        now = time.monotonic()
        if now - self._discovered >= _DISCOVERY_S:
            await self._discover()
            self._discovered = now
        else:
            await self._follow(self._under_way(now))
        await self._watch_segments()

    def expect(self, job: str) -> None:
        """Look for the record of a job that was just submitted."""
        if job not in self._entries:
            self._expected[job] = time.monotonic()
            self.interval_s = _EAGER_S
            self.wake()

    def wake(self) -> None:
        """Make all followers of the board query it now."""
        self._woken.set()
        self._woken = asyncio.Event()

    async def rest(self) -> None:
        """Wait until the next query is due."""
        await is_set_within(self._woken, self.interval_s)

    async def find(self, job: str, user: User) -> Entry | None:
        """Return a job that the user may see; None if there is none."""
        if not is_job_id(job):
            return None
        await self.refresh()
        if job not in self._entries:
            await self._follow([job])
        entry = self._entries.get(job)
        return entry if entry is not None and user.may_see(entry.status.video_name) else None

    def visible(self, user: User) -> list[Entry]:
        """Return the jobs that a user may see, newest first."""
        return self._visible(self._entries.values(), user)

    def changed(self, since: int, user: User) -> tuple[list[Job], list[str]]:
        """Return the jobs that changed after the change ``since``, and the ids of deleted ones.

        As everywhere, only of jobs that the user may see.
        """
        if since == self.revision:
            return [], []
        # Few of many jobs have changed, and every follower asks with every query.
        new = [entry for entry in self._entries.values() if entry.revision > since]
        jobs = [entry.job for entry in self._visible(new, user)]
        gone = (
            job
            for job, (revision, video, _) in self._gone.items()
            if revision > since and user.may_see(video)
        )
        return jobs, list(gone)

    @staticmethod
    def _visible(entries: Iterable[Entry], user: User) -> list[Entry]:
        seen = (entry for entry in entries if user.may_see(entry.status.video_name))
        return sorted(seen, key=lambda entry: entry.place, reverse=True)

    async def reread(self, job: str) -> None:
        """Read one job's record now, because somebody has just changed it."""
        await self._follow([job])

    def forget(self, job: str) -> None:
        """Remove a deleted job from the board."""
        if (entry := self._entries.pop(job, None)) is not None:
            self._gone[job] = (self._next(), entry.status.video_name, next(self._numbers))

    def _under_way(self, now: float) -> list[str]:
        since = now - _EXPECTED_S
        self._expected = {
            job: at for job, at in self._expected.items() if at > since and job not in self._entries
        }
        return [*self._expected, *(job for job, one in self._entries.items() if _open(one))]

    def _interval_s(self) -> float:
        """Return the pause until the next query: short while few jobs are open and one is new."""
        under_way = [entry for entry in self._entries.values() if _open(entry)]
        newest = time.monotonic() - _EXPECTED_S
        if self._expected or any(_begins(entry, newest) for entry in under_way):
            return min(_FRESH_S, _EAGER_S * max(1, len(under_way)))
        return _FRESH_S

    async def _discover(self) -> None:
        known = set(self._entries)
        listed = {
            job: item.etag
            async for item in self._blobs.items(self._container)
            if item.name == status_blob(job := item.name.split("/")[0])
            and is_job_id(job)
            and DELETED not in item.metadata
        }
        for job in known - listed.keys():
            self.forget(job)
        await self._follow(
            [
                job
                for job, etag in listed.items()
                if (entry := self._entries.get(job)) is None or entry.etag != etag
            ]
        )

    async def _follow(self, jobs: list[str]) -> None:
        await asyncio.gather(*map(self._read, jobs))

    async def _read(self, job: str) -> None:
        async with self._reads:
            number = next(self._numbers)
            stored = await self._blobs.fetch(self._container, status_blob(job))
            if stored is None or DELETED in stored.metadata:
                self.forget(job)
                return
            entry = self._entries.get(job)
            if entry is not None and entry.etag == stored.etag and not _splits(entry):
                return
            if (status := readable_status(stored.data)) is None:
                return  # of a later version, or not a record: it cannot be shown
            split = await self._split(status)
            if job in self._gone and self._gone[job][2] > number:
                return  # a read that began before the deletion
            if (entry := self._entries.get(job)) is None:
                entry = Entry(status, "", job_of(status, split), 0)
                # A job that had ended before the first query cannot be watched while it is painted.
                entry.settled = status.ended
                self._entries[job] = entry
                self._gone.pop(job, None)
        if entry.read > number:
            return  # a read that began later has ended before, and saw the same or a newer record
        entry.read = number
        entry.status, entry.etag = status, stored.etag
        entry.frames.see(time.monotonic(), status.frames_stylized)
        self._show(entry, job_of(status, split, entry.job.live, entry.frames.per_s))

    async def _split(self, status: Status) -> SplitProgress | None:
        if status.state != "splitting":
            return None
        return await load_progress(self._blobs, self._container, status.job_id)

    async def _watch_segments(self) -> None:
        unsettled = [entry for entry in self._entries.values() if not entry.settled]
        await asyncio.gather(*map(self._watch, unsettled))

    async def _watch(self, entry: Entry) -> None:
        ended = entry.status.ended
        async with self._reads:
            index = await self._segments.index(entry.status.job_id, ended=ended)
        playable = float(index.playable_s)
        entry.playable.see(time.monotonic(), playable)
        live = entry.job.live.model_copy(
            update={
                "begins_s": float(index.begins_s),
                "playable_s": playable,
                "ahead": tuple((float(a), float(b)) for a, b in index.painted_ahead()),
                "speed": entry.playable.per_s,
            }
        )
        self._show(entry, entry.job.model_copy(update={"live": live}))
        entry.settled = ended

    def _show(self, entry: Entry, job: Job) -> None:
        if job != entry.job or not entry.revision:
            entry.job = job
            entry.revision = self._next()

    def _next(self) -> int:
        self.revision += 1
        return self.revision


def _open(entry: Entry) -> bool:
    return not entry.status.ended


def _begins(entry: Entry, since: float) -> bool:
    return entry.seen_at > since and not entry.job.live.playable_s


def _splits(entry: Entry) -> bool:
    return entry.status.state == "splitting"
