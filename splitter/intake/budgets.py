"""Budgets of uploaders: how much of the pipeline each of them may use per day and at once.

An uploader is a first folder, such as ``alice`` of ``alice/film.mp4``, unless the deployment says
otherwise; videos outside folders share one budget. A video that is over budget waits until jobs end
or a new day (UTC) begins. Admitted videos are recorded in one ledger per uploader, out of users'
reach; each is admitted once, however often its event is delivered and to whichever splitter.

A budget is checked before a video is added, so it may be exceeded by one video: otherwise a video
larger than the whole budget would wait forever.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from shared.contracts.layout import status_blob
from shared.contracts.status import readable_status
from shared.contracts.values import first_problem
from shared.hubs.workers import OneAtATime
from shared.storage.blobs import BlobStore
from shared.storage.statuses import is_end_marked
from splitter.budget import PAUSE_S, Budget, Entry, Ledger, Sharing, uploader_of

log = structlog.get_logger()

_KEPT: Final = timedelta(seconds=PAUSE_S)


def _utc() -> datetime:
    return datetime.now(UTC)


class Budgets:
    """The ledgers in one container, all under one budget. ``now`` returns the time in UTC.

    Raises:
        TransientError: from every method, when storage is unavailable.
    """

    def __init__(
        self,
        budget: Budget,
        blobs: BlobStore,
        container: str,
        records: str,
        *,
        sharing: Sharing = "folder",
        now: Callable[[], datetime] = _utc,
    ) -> None:
        self._budget = budget
        self._blobs = blobs
        self._container = container
        self._records = records
        self._sharing: Sharing = sharing
        self._now = now
        self._over = OrderedDict[str, tuple[datetime, frozenset[str]]]()
        """By ledger: since when its uploader counts as over budget, and which jobs are exempt; the
        oldest first."""
        self._same_ledger = OneAtATime()

    async def admit(self, name: str, size: int, job: str) -> bool:
        """Admit an upload's job; False if its uploader is over budget."""
        if self._budget.unlimited:
            return True
        blob = ledger_blob(name, self._sharing)
        # Of thousands of videos over budget, one reads the ledger and the others take its verdict.
        async with self._same_ledger.of(blob):
            return await self._admit(blob, name, size, job)

    async def _admit(self, blob: str, name: str, size: int, job: str) -> bool:
        now = self._now()
        self._forget_old_verdicts(now)
        if blob in self._over and job not in self._over[blob][1]:
            return False
        self._over.pop(blob, None)
        day = now.date().isoformat()
        while True:
            ledger, etag = await self._read(blob)
            if job in ledger.jobs:
                return True
            # Ends free nothing else, and each open job costs a request.
            if ledger.excess(self._budget, day) == "open_jobs":
                ledger = ledger.end(await self._ended(ledger, day))
            if part := ledger.excess(self._budget, day):
                log.info("upload over budget", video=name, job_id=job, budget=part)
                # From now on: to look for ends may have taken longer than it is kept.
                self._over[blob] = self._now(), frozenset(ledger.jobs)
                return False
            if await self._write(blob, ledger.put(job, Entry(day=day, size=size), day), etag):
                return True

    def _forget_old_verdicts(self, now: datetime) -> None:
        """Forget what was decided too long ago, or later than ``now``: the clock was set back."""
        while self._over:
            since, _ = next(iter(self._over.values()))
            if timedelta() <= now - since < _KEPT:
                return
            self._over.popitem(last=False)

    async def charge(self, name: str, job: str, frames: int) -> None:
        """Record how many frames an admitted video turned out to have."""
        blob, day = ledger_blob(name, self._sharing), self._now().date().isoformat()
        while not self._budget.unlimited:
            ledger, etag = await self._read(blob)
            entry = ledger.jobs.get(job)
            if entry is None:
                return
            charged = entry.model_copy(update={"frames": frames})
            if await self._write(blob, ledger.put(job, charged, day), etag):
                return

    async def _read(self, blob: str) -> tuple[Ledger, str | None]:
        found = await self._blobs.fetch(self._container, blob)
        if found is None:
            return Ledger(jobs={}), None
        try:
            return Ledger.model_validate_json(found.data), found.etag
        except ValidationError as error:
            log.error(
                "ledger is damaged; starting a new one", blob=blob, error=first_problem(error)
            )
            return Ledger(jobs={}), found.etag

    async def _write(self, blob: str, ledger: Ledger, etag: str | None) -> bool:
        data = ledger.to_json()
        if etag is None:
            return await self._blobs.create(self._container, blob, data) is not None
        return await self._blobs.replace(self._container, blob, data, etag=etag) is not None

    async def _ended(self, ledger: Ledger, day: str) -> set[str]:
        ended = set()
        for job in ledger.open:
            record = await self._blobs.read(self._records, status_blob(job))
            status = readable_status(record)
            gone = record is None and await self._is_deleted(job, ledger.jobs[job], day)
            if gone or (status is not None and status.ended):
                ended.add(job)
        return ended

    async def _is_deleted(self, job: str, entry: Entry, day: str) -> bool:
        """Return whether a job without a record was deleted by its user, or has none yet."""
        return entry.day != day or await is_end_marked(self._blobs, self._container, job)


def ledger_blob(name: str, sharing: Sharing = "folder") -> str:
    """Return the name of the blob with the ledger of the uploader of ``name``."""
    uploader = uploader_of(name, sharing).encode()
    return f"{hashlib.sha256(uploader).hexdigest()[:24]}/budget.json"
