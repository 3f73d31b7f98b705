"""Rounds over all open jobs: save records, notice cancellations, look into idle jobs.

What goes wrong with one job does not affect others. Each errand of a round is limited in jobs and
in time, and begins with the jobs that have waited for it the longest, so that a round stays short
however many jobs are open and however slow storage is.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from assembler.job import Job
from assembler.metrics import AssemblerMetrics
from assembler.records import Records
from assembler.settings import AssemblerSettings
from assembler.stalls import Stalls
from shared.contracts.errors import PermanentError, StylestreamError, TransientError
from shared.storage.retry import Retry

log = structlog.get_logger()

# How long a job may be idle before its record is read for a user's cancellation.
_QUIET_S: Final = 3.0
_AT_ONCE: Final = 16
_IN_A_ROUND: Final = 256
_ERRAND_S: Final = 0.5
"""How long an errand of a round keeps taking on jobs."""
_SOON: Final = 0.75
"""Idle jobs are looked into together with those that have been idle for this share of the time."""


class Rounds:
    """Looks after open jobs."""

    def __init__(
        self,
        settings: AssemblerSettings,
        records: Records,
        stalls: Stalls,
        metrics: AssemblerMetrics,
    ) -> None:
        self._settings = settings
        self._records = records
        self._stalls = stalls
        self._metrics = metrics
        self._retry = Retry(metrics)

    async def run(self, jobs: list[Job]) -> None:
        """Look after ``jobs`` once; some may have ended afterwards."""
        self._metrics.jobs(
            open=len(jobs),
            oldest_age_s=max((job.age_s for job in jobs), default=0.0),
            # Signs of life are looked for every `redrive_after_s`: three in a row are missing.
            stalled=sum(job.lifeless_s > 3 * self._settings.redrive_after_s for job in jobs),
        )
        unsaved = sorted(_unsaved(jobs), key=lambda job: job.last_ran("save"))
        await self._errand("save", unsaved, self._records.save)
        await self._errand("refresh", _due(jobs, "refresh", _QUIET_S), self._records.refresh)
        idle = self._idle(jobs)
        try:
            hubs = await self._stalls.hub_progress(idle)
        except StylestreamError as error:
            log.warning("check of idle jobs failed", jobs=len(idle), error=str(error))
            return
        await self._errand("examine", idle, lambda job: self._stalls.examine(job, hubs))

    def _idle(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs to look into: none, or all those for which it is or soon will be time.

        A look asks a hub about every partition, and Event Hubs answers 50 such questions a second.
        """
        after_s = self._settings.redrive_after_s
        if not any(job.due("examine", after_s) for job in jobs):
            return []
        return _due(jobs, "examine", _SOON * after_s)

    async def save(self, jobs: Iterable[Job]) -> None:
        """Store all records that are out of date, however long it takes."""
        await self._errand("save", _unsaved(jobs), self._records.save, all_of_them=True)

    async def save_early(self, job: Job) -> None:
        """Store a young job's record between two rounds: see `Job.is_worth_saving`."""
        await self._errand("save", [job], self._records.save)

    async def _errand(
        self,
        errand: str,
        jobs: list[Job],
        run: Callable[[Job], Awaitable[None]],
        *,
        all_of_them: bool = False,
    ) -> None:
        waiting, away = iter(jobs), list[TransientError]()
        until = math.inf if all_of_them else time.monotonic() + _ERRAND_S

        async def attend(job: Job) -> None:
            if not job.released:
                await run(job)

        async def run_some() -> None:
            for job in waiting:
                job.ran(errand)
                try:
                    # A refusal that may pass is tried again at once, an outage in the next round.
                    await self._retry(functools.partial(attend, job), attempts=1, patience_s=0.0)
                except TransientError as error:
                    away.append(error)
                except PermanentError as error:
                    job.fail(error.code, error.message)
                except Exception as error:  # must not affect other jobs
                    self._metrics.background_failed("jobs")
                    log.error("upkeep of a job failed", job_id=job.job_id, exc_info=error)
                if time.monotonic() >= until:
                    return

        await asyncio.gather(*(run_some() for _ in range(min(_AT_ONCE, len(jobs)))))
        if away:
            log.warning("upkeep of jobs failed", errand=errand, jobs=len(away), error=str(away[0]))


def _unsaved(jobs: Iterable[Job]) -> list[Job]:
    return [job for job in jobs if job.unsaved]


def _due(jobs: list[Job], errand: str, every_s: float) -> list[Job]:
    due = (job for job in jobs if job.due(errand, every_s))
    return heapq.nsmallest(_IN_A_ROUND, due, key=lambda job: job.last_ran(errand))
