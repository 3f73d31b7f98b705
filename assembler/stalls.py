"""Looks into jobs that make no progress: says what they wait for, and finds what was lost.

A job that merely waits, for its turn, for a splitter, or for a pool to start, waits for as long as
the hubs keep its events; its record says what for. A lost event, a recreated hub or a service that
ended unexpectedly shows as an event that its checkpoint has passed without a result. Lost chunks
are then sent again, a few times, before the job fails and names them. A stored segment was painted
even if its event was lost, and counts as announced. A chunk whose segment does not go with the
others, see `assembler.agreement`, is also sent again, with how its segment has to be made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from assembler.frames_hub import FramesHub
from assembler.job import Job, provenance_of, seconds_between
from assembler.metrics import AssemblerMetrics
from assembler.segments_hub import CaughtUp
from assembler.settings import AssemblerSettings
from shared.contracts.layout import chunk_blob, chunk_partition
from shared.contracts.manifest import Chunk, Manifest
from shared.contracts.messages import SegmentReady
from shared.contracts.status import SplitProgress, utc_now
from shared.hubs.reach import Reach
from shared.service.checkpoints import HubPositions, Noted
from shared.storage.blobs import BlobStore
from shared.storage.manifests import fetch_manifest, load_manifest
from shared.storage.progress import load_progress
from shared.telemetry import tracing

log = structlog.get_logger()

_LOOKS_AT_ONCE: Final = 32
# How far a hub's clock and this machine's may be apart.
_CLOCKS_APART_S: Final = 60.0
# A splitter notes the progress of its splits more often, unless thousands wait in it.
_SILENT_S: Final = 60.0
SPLITTER: Final = "a splitter"
STYLIZER: Final = "a stylizer"


class HubProgress(NamedTuple):
    """How far the hubs were processed, looked up once for all jobs of a round."""

    stylizers: Reach | None
    """None if no job waits for them."""
    splitters: Mapping[str, Noted]
    """By partition of the hub of uploads; empty if no job waits for them."""
    caught_up: CaughtUp


class Stalls:
    """Looks into idle jobs.

    Raises:
        TransientError: from every method, when the hub or storage is unavailable.
        PermanentError: from `examine`: the reason why the job fails.
    """

    def __init__(
        self,
        settings: AssemblerSettings,
        blobs: BlobStore,
        frames: FramesHub,
        caught_up: CaughtUp,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._frames = frames
        self._caught_up = caught_up
        self._metrics = metrics
        self._uploads = HubPositions(blobs, settings, settings.uploads_hub)

    async def hub_progress(self, jobs: list[Job]) -> HubProgress:
        """Return how far the services that ``jobs`` wait for have come.

        One answer serves all jobs: a hub has many partitions, and asking is not cheap.
        """
        reach = await self._frames.reach() if any(job.manifest for job in jobs) else None
        split = any(job.manifest is None and job.upload_event for job in jobs)
        noted = await self._uploads.noted() if split else {}
        return HubProgress(reach, noted, _asked_once(self._caught_up))

    async def examine(self, job: Job, hubs: HubProgress) -> None:
        """Examine a job that has made no progress for a while."""
        if job.manifest is None:
            await self._examine_split(job, hubs)
        elif hubs.stylizers is not None:
            await self._examine_chunks(job, job.manifest, hubs.stylizers, hubs.caught_up)

    async def _examine_split(self, job: Job, hubs: HubProgress) -> None:
        # In this order, so that a split that finishes in between is not taken for a lost one.
        passed = _is_upload_passed(job, hubs) and await hubs.caught_up(job.partition_id)
        progress = await load_progress(self._blobs, self._settings.jobs_container, job.job_id)
        job.sign_of_life(progress)
        manifest = None
        if passed or self._may_have_ended(job, begun=progress is not None):
            manifest = await load_manifest(self._blobs, self._settings.frames_container, job.job_id)
        if job.manifest is not None or job.status.ended:
            return  # it made progress meanwhile
        if manifest is not None:
            log.warning("the end of a split was not announced", job_id=job.job_id)
            job.seal(manifest)
            return
        job.wait_for(_split_waits_for(progress))
        if passed and job.lifeless_s > self._settings.stall_timeout_s:
            job.fail(
                "STALLED",
                "the upload's event was completed, but its split did not end and showed no "
                f"activity for {job.lifeless_s:.0f} s; upload the video again",
            )

    def _may_have_ended(self, job: Job, *, begun: bool) -> bool:
        """Return whether a split may have ended unannounced before its event was marked done.

        A split in progress reports that regularly, and one that has not begun has no manifest.
        """
        if job.upload_event is None or job.hub.gone:
            return True
        return begun and job.lifeless_s >= self._settings.redrive_after_s

    async def _examine_chunks(
        self, job: Job, manifest: Manifest, reach: Reach, caught_up: CaughtUp
    ) -> None:
        job.sign_of_life(reach)
        job.wait_for(STYLIZER)
        due = [chunk for chunk in job.completeness.missing() if not self._waits(job, chunk)]
        # Of the partitions that there were then: the hub may have been given more meanwhile.
        count = len(reach.newest)
        missing = {
            chunk: chunk_partition(job.job_id, chunk + _steps(job, chunk), count) for chunk in due
        }
        if not job.redrive.passed(missing, reach):
            return
        ours = await caught_up(job.partition_id)
        if job.status.ended or not (ours or job.hub.gone):
            return  # it has ended, or another assembler owns it by now
        # Everything that was announced before `reach` was looked up is known by now.
        missing = _still(job, missing)
        await self._note_stored(job, manifest, job.redrive.passed(missing, reach))
        if job.status.ended or job.released:
            return
        verdict = job.redrive.judge(_still(job, missing), reach)
        if verdict.action == "give_up":
            self._give_up(job, verdict.lost, ours=ours)
        elif verdict.action == "resend":
            await self._resend(job, verdict.lost)

    def _waits(self, job: Job, chunk: int) -> bool:
        """Return whether a chunk, painted in another version, waits for stylizers to be updated.

        Updates take time, so it is sent again after longer and longer pauses.
        """
        sent = job.redrive.sent_since_progress(chunk)
        again = sent < self._settings.redrives and job.completeness.agreement.is_outdated(chunk)
        return again and job.idle_s < self._settings.redrive_after_s * 2**sent

    def _give_up(self, job: Job, lost: Sequence[int], *, ours: bool) -> None:
        agreement = job.completeness.agreement
        if all(map(agreement.is_outdated, lost)):
            log.warning(
                "no stylizer has this version of the style",
                job_id=job.job_id,
                styles=agreement.version,
            )
            job.give_up_version()
        elif ours:
            job.fail("STALLED", job.explain_loss(lost))

    async def _resend(self, job: Job, lost: Sequence[int]) -> None:
        container = self._settings.frames_container
        manifest, *_ = await fetch_manifest(
            self._blobs, container, job.job_id, placed=frozenset(lost)
        )
        agreement = job.completeness.agreement
        mixed, outdated = agreement.mixed, sum(map(agreement.is_outdated, lost))
        log.warning(
            "chunks sent again",
            job_id=job.job_id,
            chunks=len(lost),
            mixed=mixed,
            outdated=outdated,
        )
        self._metrics.redriven(len(lost))
        with tracing.span("redrive", {"job_id": job.job_id}, parent=job.trace):
            for chunk in lost:
                styles = agreement.version if agreement.is_outdated(chunk) else ""
                steps = _steps(job, chunk)
                resend = job.redrive.sent(chunk)
                await self._frames.send_again(
                    manifest, chunk, steps=steps, resend=resend, on_processor=mixed, styles=styles
                )

    async def _note_stored(self, job: Job, manifest: Manifest, chunks: list[int]) -> None:
        """Note the stored segments of ``chunks``, whose events were lost."""
        at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look_for(chunk: Chunk) -> SegmentReady | None:
            container, name = self._settings.segments_container, chunk_blob(job.job_id, chunk.index)
            async with at_once:
                facts = await self._blobs.facts(container, name)
            if facts is None:
                return None
            return SegmentReady.of_stored(job.job_id, chunk, facts.metadata)

        found = await asyncio.gather(*(look_for(manifest.chunks[chunk]) for chunk in chunks))
        for segment in filter(None, found):
            if not job.completeness.agreement.knows(segment.chunk, provenance_of(segment)):
                log.warning("a segment's event was lost", job_id=job.job_id, chunk=segment.chunk)
                job.announce(segment)


def _steps(job: Job, chunk: int) -> int:
    """Return how many partitions a chunk is moved from the one that the splitter chose.

    A chunk painted in another version goes to another partition each time, because the stylizer
    that reads the last one may keep that version for long.
    """
    return job.redrive.sent(chunk) if job.completeness.agreement.is_outdated(chunk) else 0


def _still(job: Job, missing: Mapping[int, int]) -> dict[int, int]:
    """Return those of the ``missing`` chunks that were not announced meanwhile."""
    now = set(job.completeness.missing())
    return {chunk: place for chunk, place in missing.items() if chunk in now}


def _asked_once(caught_up: CaughtUp) -> CaughtUp:
    """Return ``caught_up`` with its answers cached, so that each partition is asked about once."""
    answers: dict[str | None, asyncio.Future[bool]] = {}

    async def ask(partition_id: str | None) -> bool:
        if partition_id not in answers:
            answers[partition_id] = asyncio.ensure_future(caught_up(partition_id))
        return await answers[partition_id]

    return ask


def _is_upload_passed(job: Job, hubs: HubProgress) -> bool:
    place = job.upload_event
    if place is None or (noted := hubs.splitters.get(place.partition_id)) is None:
        return False
    if noted.hub_made and seconds_between(place.at.isoformat(), noted.hub_made) > _CLOCKS_APART_S:
        return True  # it was reported before this hub was created
    return noted.reached >= place.sequence_number


def _split_waits_for(split: SplitProgress | None) -> str | None:
    """Return what a split waits for; None while a splitter works on it, however slowly."""
    if split is None:
        return SPLITTER
    works = bool(split.at) and seconds_between(split.at, utc_now()) < _SILENT_S
    return split.waiting_for or (None if works else SPLITTER)
