"""Find uploads that nobody splits although nothing is in the way: their event was lost.

Event Grid gives up after a day, a checkpoint may have been moved, a hub may have been recreated. So
the uploads themselves are scanned periodically. An upload whose split began and shows no sign of
life is lost if the splitters have passed its event; one without a known job, if they have processed
everything that was in their hub when this was first noticed. Its event is then published again and
leads to the same job as before.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple
from urllib.parse import quote
from zlib import crc32

import structlog

from shared.contracts.errors import TransientError
from shared.contracts.layout import job_id, manifest_blob
from shared.contracts.status import Status, read_summary
from shared.hubs.publisher import Publisher
from shared.hubs.reach import Reach
from shared.service.checkpoints import HubPositions
from shared.storage.blobs import BlobStore
from shared.storage.descriptions import BlobItem
from shared.storage.progress import load_progress
from shared.storage.statuses import is_end_marked, load_status
from shared.tasks.each import for_each
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

State = Literal["done", "in_hand", "nobody"]
_Place = tuple[int, int]
"""A partition and the number of an event in it."""


@dataclass(slots=True)
class _Suspect:
    """An upload that no splitter seems to have in hand."""

    blob: BlobItem
    awaited: Mapping[int, int] | None = None
    """The event that splitters have to pass in each partition before this one's is surely lost."""
    lost: _Place | None = None
    """Where the event was for which it was announced again."""
    announcements: int = 0


class _Found(NamedTuple):
    suspect: _Suspect
    state: State | None
    """Where its job stands; None if it was never opened."""
    place: _Place | None = None
    """Where its event was, if that is known."""


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
        found = await for_each(self._find, self._suspects.values())
        self._forget(each.suspect.blob for each in found if each.state == "done")
        unattended = [each for each in found if each.state in ("nobody", None)]
        lost = [each for each in unattended if _is_lost(each.suspect, reach)]
        for each in unattended:
            if each.suspect.awaited is None:
                each.suspect.awaited = _awaited(each, reach)
        # Only now, because all records are listed for it.
        unknown = {each.suspect.blob.name for each in lost if each.state is None}
        known = await self._records(unknown)
        for suspect, state, place in lost:
            if state is None and self._is_known(suspect.blob, known[suspect.blob.name]):
                self._forget([suspect.blob])
            else:
                await self._announce(suspect, place)

    async def _find(self, suspect: _Suspect) -> _Found:
        async with self._at_once:
            opening = await self._openings.find(suspect.blob.name, suspect.blob.etag)
            if opening is None:
                return _Found(suspect, None)
            state, place = await self._find_state(opening.job_id)
            if state == "in_hand":
                suspect.awaited = None
            return _Found(suspect, state, place)

    async def _find_state(self, job: str) -> tuple[State, _Place | None]:
        jobs, frames = self._settings.jobs_container, self._settings.frames_container
        record = await load_status(self._blobs, jobs, job)
        if record is not None and record.ended:
            return "done", None
        if record is None and await is_end_marked(self._blobs, frames, job):
            return "done", None  # only its record was deleted
        place = None if record is None else _place(record)
        if await self._blobs.exists(frames, manifest_blob(job)):
            # The assembler does the rest, unless it does not know the job.
            return "nobody" if record is None else "done", place
        split = await load_progress(self._blobs, jobs, job)
        silent_s = _SIGNS * sign_of_life_s(self._settings)
        alive = split is not None and split.at and _age_s(split.at) < silent_s
        return "in_hand" if alive else "nobody", place

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

    async def _announce(self, suspect: _Suspect, place: _Place | None) -> None:
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
        suspect.awaited, suspect.lost = None, place
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


def _is_lost(suspect: _Suspect, reach: Reach) -> bool:
    awaited = suspect.awaited
    return awaited is not None and all(reach.has_passed(*event) for event in awaited.items())


def _awaited(found: _Found, reach: Reach) -> Mapping[int, int]:
    """Return which events splitters have to pass before a suspect's own is surely lost."""
    if found.place is None or found.place == found.suspect.lost:
        return dict(enumerate(reach.newest))
    return dict([found.place])  # not those of other partitions: a long film may take hours


def _place(record: Status) -> _Place | None:
    event = record.upload_event
    return None if event is None else (int(event.partition_id), event.sequence_number)


def _written_s(record: Status) -> float:
    """Return when a job's upload was written, in POSIX seconds; 0 if unknown."""
    return datetime.fromisoformat(record.uploaded_at).timestamp() if record.uploaded_at else 0.0


def _age_s(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
