"""Find uploads that nobody splits although nothing is in the way: their event was lost.

Event Grid gives up after a day, a checkpoint may have been moved, a hub may have been recreated. So
the uploads themselves are scanned periodically. An upload without a known job, or whose split began
and shows no sign of life, is lost if the splitters have since processed everything that was in
their hub when this was first noticed. Its event is then published again and leads to the same job
as before.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import quote
from zlib import crc32

import structlog

from shared.contracts.errors import TransientError
from shared.contracts.layout import job_id, manifest_blob, progress_blob
from shared.contracts.status import Status, read_progress, read_summary
from shared.hubs.publisher import Publisher
from shared.hubs.reach import Reach
from shared.service.checkpoints import HubPositions
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobItem
from shared.storage.statuses import load_status
from splitter.intake.acceptance import Acceptance
from splitter.intake.uploads import Upload, upload_event
from splitter.job_monitor import sign_of_life_s
from splitter.openings import Openings
from splitter.settings import SplitterSettings

log = structlog.get_logger()

_RECENT_S: Final = 2 * 86400.0
"""Older uploads were handled or are not missed, and openings are kept for only three days."""
_LOOKS: Final = 20
"""Checks of the suspects between two scans of all uploads; it takes two to call one lost."""
_SIGNS: Final = 3
"""A split is dead after this many missed signs of life in a row."""
_TIMES: Final = 3
_AT_ONCE: Final = 8

Found = Literal["done", "in_hand", "nobody"]


@dataclass(slots=True)
class _Suspect:
    """An upload that no splitter seems to have in hand."""

    blob: BlobItem
    ends: tuple[int, ...] | None = None
    """The newest event in each partition of the hub when this was noticed."""
    announcements: int = 0


class Overlooked:
    """Scans the uploads of the account at ``account_url``."""

    def __init__(
        self,
        settings: SplitterSettings,
        acceptance: Acceptance,
        account_url: str,
        openings: Openings,
        blobs: BlobStore,
        hub: Publisher,
    ) -> None:
        self._settings = settings
        self._acceptance = acceptance
        self._account_url = account_url
        self._openings = openings
        self._blobs = blobs
        self._hub = hub
        self._positions = HubPositions(blobs, settings, settings.uploads_hub)
        self.interval_s: Final = settings.uploads_look_s / _LOOKS
        self._listed = float("-inf")
        self._done: set[tuple[str, str]] = set()
        self._suspects: dict[tuple[str, str], _Suspect] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def announce_missed(self) -> None:
        """Check the suspects, and from time to time scan all uploads."""
        try:
            if time.monotonic() - self._listed >= self._settings.uploads_look_s:
                await self._list()
                self._listed = time.monotonic()
            if self._suspects:
                await self._judge()
        except TransientError as error:
            log.warning("search for missed uploads failed", error=str(error))

    async def _list(self) -> None:
        uploads = self._blobs.items(self._settings.uploads_container)
        there = {(blob.name, blob.etag): blob async for blob in uploads if self._is_due(blob)}
        self._done &= there.keys()
        self._suspects = {
            version: self._suspects.get(version) or _Suspect(blob)
            for version, blob in there.items()
            if version not in self._done
        }

    def _is_due(self, blob: BlobItem) -> bool:
        now = time.time()
        # An empty one is a folder, or a file that is about to be written.
        if not blob.size or blob.metadata.get("hdi_isfolder") == "true":
            return False
        if blob.created_s < now - _RECENT_S:
            return False
        announced = blob.modified_s <= now - self._settings.uploads_look_s
        return announced and self._acceptance.refusal(self._upload(blob)) is None

    async def _judge(self) -> None:
        reach = await Reach.look_up(self._hub, self._positions)
        found = await asyncio.gather(*map(self._find, self._suspects.values()))
        self._forget(suspect.blob for suspect, what in found if what == "done")
        lost: list[tuple[_Suspect, Found | None]] = []
        for suspect, what in found:
            if what not in ("nobody", None):
                continue
            if suspect.ends is None:
                suspect.ends = reach.newest
            elif _passed(suspect.ends, reach):
                lost.append((suspect, what))
        # Only now, because all records are listed for it.
        known = await self._records({suspect.blob.name for suspect, what in lost if what is None})
        for suspect, what in lost:
            if what is None and self._is_known(suspect.blob, known[suspect.blob.name]):
                self._forget([suspect.blob])
            else:
                await self._announce(suspect)

    async def _find(self, suspect: _Suspect) -> tuple[_Suspect, Found | None]:
        """Return a suspect and where its job stands; None if it was never opened."""
        async with self._at_once:
            opening = await self._openings.find(suspect.blob.name, suspect.blob.etag)
            what = None if opening is None else await self._find_state(opening.job_id)
            if what == "in_hand":
                suspect.ends = None
            return suspect, what

    async def _find_state(self, job: str) -> Found:
        jobs = self._settings.jobs_container
        record = await load_status(self._blobs, jobs, job)
        if record is not None and record.ended:
            return "done"
        if await self._blobs.exists(self._settings.frames_container, manifest_blob(job)):
            # The assembler does the rest, unless it does not know the job.
            return "nobody" if record is None else "done"
        split = read_progress(await self._blobs.read(jobs, progress_blob(job)))
        silent_s = _SIGNS * sign_of_life_s(self._settings)
        alive = split is not None and split.at and _age_s(split.at) < silent_s
        return "in_hand" if alive else "nobody"

    async def _records(self, names: set[str]) -> Mapping[str, list[Status]]:
        """Return the job records of the uploads ``names``, by name."""
        found = defaultdict[str, list[Status]](list)
        if names:
            async for blob in self._blobs.items(self._settings.jobs_container):
                record = read_summary(blob.metadata)
                if record is not None and record.video_name in names:
                    found[record.video_name].append(record)
        return found

    def _is_known(self, blob: BlobItem, records: list[Status]) -> bool:
        """Return whether an upload without an opening needs none."""
        container = self._settings.uploads_container
        for record in records:
            if record.job_id == job_id(container, blob.name, blob.etag, record.style):
                return record.ended  # it was refused; if still open, the refusal was lost
        # A touched upload has a new version with the same bytes, for which no event comes.
        return any(_written_s(record) >= int(blob.created_s) for record in records)

    async def _announce(self, suspect: _Suspect) -> None:
        name, partitions = suspect.blob.name, await self._hub.partitions()
        if suspect.announcements == _TIMES:
            log.error("upload is not split after repeated announcements", video=name)
            self._forget([suspect.blob])
            return
        facts = await self._blobs.facts(self._settings.uploads_container, name)
        if facts is None or facts.etag != suspect.blob.etag:
            self._forget([suspect.blob])  # deleted or replaced since it was listed
            return
        log.warning("missed upload announced again", video=name)
        # Splitters that find it at the same time use the same partition: its owner splits it once.
        partition = partitions[crc32(name.encode()) % len(partitions)]
        await self._hub.again(upload_event(self._upload(suspect.blob)), partition)
        suspect.ends = None
        suspect.announcements += 1

    def _forget(self, blobs: Iterable[BlobItem]) -> None:
        for blob in blobs:
            version = (blob.name, blob.etag)
            self._done.add(version)
            self._suspects.pop(version, None)

    def _upload(self, blob: BlobItem) -> Upload:
        container = self._settings.uploads_container
        url = f"{self._account_url.rstrip('/')}/{container}/{quote(blob.name)}"
        return Upload(container, blob.name, blob.etag, url)


def _passed(ends: tuple[int, ...], reach: Reach) -> bool:
    """Return whether everything up to ``ends`` was processed, or is gone with an earlier hub."""
    return all(reach.has_passed(partition, end) for partition, end in enumerate(ends))


def _written_s(record: Status) -> float:
    """Return when a job's upload was written, in POSIX seconds; 0 if unknown."""
    return datetime.fromisoformat(record.uploaded_at).timestamp() if record.uploaded_at else 0.0


def _age_s(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
