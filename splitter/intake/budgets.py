"""Budgets of uploaders: how much of the pipeline one of them may take, a day and at once.

An uploader is a first folder, such as ``alice`` of ``alice/film.mp4``; videos in no folder share
one budget. A video that is over budget waits, and goes on when jobs end or a new day (UTC) begins.
What was admitted stands in a ledger for each uploader, out of users' reach, and is admitted once:
however often its event comes, and to whichever splitter.

A budget is overdrawn by one video at most, so that no video waits for one that it could never fit.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

import structlog

from shared.contracts.errors import PermanentError
from shared.contracts.layout import status_blob
from shared.contracts.status import read_status
from shared.storage.blobs import BlobStore
from splitter.budget import PAUSE_S, Budget, Entry, Ledger

log = structlog.get_logger()


class Budgets:
    """The ledgers in one container, held against one budget.

    Raises:
        TransientError: from every method, when storage is away.
    """

    def __init__(self, budget: Budget, blobs: BlobStore, container: str, records: str) -> None:
        self._budget = budget
        self._blobs = blobs
        self._container = container
        self._records = records
        self._over: dict[str, float] = {}

    async def admit(self, name: str, size: int, job: str) -> bool:
        """Admit an upload's job; False while its uploader is over budget."""
        blob = ledger_blob(name)
        if self._budget.unlimited:
            return True
        if time.monotonic() < self._over.get(blob, 0.0):
            return False
        day = _today()
        while True:
            ledger, etag = await self._read(blob)
            if job in ledger.jobs:
                return True
            if ledger.excess(self._budget, day):
                ledger = ledger.end(await self._ended(ledger, day))
            if part := ledger.excess(self._budget, day):
                log.info("upload over budget", video=name, job_id=job, budget=part)
                self._over[blob] = time.monotonic() + PAUSE_S
                return False
            if await self._write(blob, ledger.put(job, Entry(day=day, size=size), day), etag):
                return True

    async def charge(self, name: str, job: str, frames: int) -> None:
        """Note how many frames an admitted video turned out to have."""
        while not self._budget.unlimited:
            ledger, etag = await self._read(ledger_blob(name))
            entry = ledger.jobs.get(job)
            if entry is None:
                return
            charged = entry.model_copy(update={"frames": frames})
            if await self._write(ledger_blob(name), ledger.put(job, charged, _today()), etag):
                return

    async def _read(self, blob: str) -> tuple[Ledger, str | None]:
        found = await self._blobs.fetch(self._container, blob)
        return (
            (Ledger.model_validate_json(found.data), found.etag)
            if found
            else (Ledger(jobs={}), None)
        )

    async def _write(self, blob: str, ledger: Ledger, etag: str | None) -> bool:
        data = ledger.to_json()
        if etag is None:
            return await self._blobs.create(self._container, blob, data) is not None
        return await self._blobs.replace(self._container, blob, data, etag=etag) is not None

    async def _ended(self, ledger: Ledger, day: str) -> set[str]:
        ended = set()
        for job in ledger.open:
            record = await self._blobs.read(self._records, status_blob(job))
            try:
                # A job of today may have no record yet; an older one's was deleted by its user.
                over = ledger.jobs[job].day != day if record is None else read_status(record).ended
            except PermanentError:  # it is for the assembler to say so
                over = False
            if over:
                ended.add(job)
        return ended


def uploader_of(name: str) -> str:
    """Return whose upload it is; empty for those in no folder.

    >>> uploader_of("alice/holiday/beach.mp4"), uploader_of("beach.mp4")
    ('alice', '')
    """
    folder, slash, _ = name.partition("/")
    return folder if slash else ""


def ledger_blob(name: str) -> str:
    """Name the blob with the ledger of the uploader of ``name``."""
    return f"{hashlib.sha256(uploader_of(name).encode()).hexdigest()[:24]}/budget.json"


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
