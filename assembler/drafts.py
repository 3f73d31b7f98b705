"""Results that are begun before all of their segments are there.

When the last segment comes, only that one has to be appended. A draft is a head start and nothing
more: it is written by the same code from the same blobs, and if anything is wrong with it, it is
discarded and the result is made from storage as if there had never been a draft.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import structlog

from assembler.job import Job
from assembler.materials import Materials, Segment
from assembler.mux import Joining
from assembler.settings import AssemblerSettings
from shared.contracts.errors import ResultError
from shared.contracts.manifest import Chunk
from shared.storage.work_folders import work_folder

log = structlog.get_logger()
T = TypeVar("T")

_AHEAD: Final = 2
"""Segments of a draft in memory at once: one being appended, one being fetched."""

Count = Callable[[Job], Awaitable[bool]]
"""Counts the first attempt at a job's result; False, without counting, if there was one before."""


class Written(NamedTuple):
    """A result's file, not verified yet, and what it was written from."""

    out: Path
    side: Path | None
    """The copied tracks."""
    pictures: str
    """Digest of the segments' pictures."""


class Drafts:
    """The drafts of an assembler's jobs, at most ``settings.drafts`` at once.

    A job has one draft in all, whichever assemblers follow it. It is counted before it begins, so
    that a draft that kills its assembler does not kill the next one.
    """

    def __init__(
        self, settings: AssemblerSettings, materials: Materials, threads: Executor, count: Count
    ) -> None:
        self._settings = settings
        self._materials = materials
        self._threads = threads
        self._count = count
        self._drafts: dict[str, Draft] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def go_on(self, job: Job) -> None:
        """Write as much of a job's result as possible in the background; return at once."""
        draft = self._drafts.get(job.job_id)
        if draft is None and job.manifest is not None and self._has_room():
            draft = Draft(self._settings, job, self._materials, self._threads, self._count)
            self._drafts[job.job_id] = draft
        if draft is not None:
            draft.notify()

    def of(self, job_id: str) -> Draft | None:
        """Return a job's draft, or None."""
        return self._drafts.get(job_id)

    def drop(self, job_id: str) -> None:
        """Discard a job's draft, if it has one; return at once."""
        if draft := self._drafts.pop(job_id, None):
            ending = asyncio.create_task(draft.end())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def drop_all(self) -> bool:
        """Discard all drafts and wait until their files are gone; return whether there were any."""
        found = bool(self._drafts or self._ending)
        for job_id in list(self._drafts):
            self.drop(job_id)
        while self._ending:
            await asyncio.wait(self._ending)
        return found

    def _has_room(self) -> bool:
        return sum(not draft.over for draft in self._drafts.values()) < self._settings.drafts


class Draft:
    """One job's result, written in order as far as its segments are there."""

    def __init__(
        self,
        settings: AssemblerSettings,
        job: Job,
        materials: Materials,
        threads: Executor,
        count: Count,
    ) -> None:
        assert job.manifest is not None
        self.counted = False
        """Whether the draft was counted as an attempt at the job's result."""
        self._settings = settings
        self._job = job
        self._manifest = job.manifest
        self._is_there = job.completeness.has
        self._materials = materials
        self._threads = threads
        self._count = count
        self._styles = ""
        self._news = asyncio.Event()
        self._written: asyncio.Future[Written | None] = asyncio.get_running_loop().create_future()
        self._writing = asyncio.create_task(self._write())

    @property
    def over(self) -> bool:
        """Whether the draft has failed or was discarded."""
        return self._writing.done()

    def notify(self) -> None:
        """Wake the writer, because there may be further segments to append."""
        self._news.set()

    async def completed(self) -> Written | None:
        """Return the file, which lasts until `end`, once it is complete; None if it fails.

        To be called when all segments are there.
        """
        self.notify()
        return await asyncio.shield(self._written)

    async def end(self) -> None:
        """Discard the draft; return when its files are gone."""
        self._writing.cancel()
        await asyncio.wait({self._writing})

    async def _write(self) -> None:
        try:
            self.counted = await self._count(self._job)
            if self.counted:
                await self._write_and_keep()
        except Exception as error:  # making the result from storage reports the cause
            log.info(
                "draft result not written",
                job_id=self._manifest.job_id,
                error=f"{type(error).__name__}: {error}",
            )
        finally:
            if not self._written.done():
                self._written.set_result(None)

    async def _write_and_keep(self) -> None:
        with work_folder(self._settings.work_dir) as folder:
            out = folder / f"result.{self._manifest.source.container}"
            side = await self._materials.side(self._manifest, folder)
            joining = Joining(self._manifest, side, out)
            try:
                async with aclosing(self._segments()) as segments:
                    async for chunk, segment in segments:
                        self._take(segment)
                        await self._in_thread(joining.append, chunk, segment.data)
                pictures = await self._in_thread(joining.finish)
            finally:
                await self._in_thread(joining.close)
            self._written.set_result(Written(out, side, pictures))
            await asyncio.Event().wait()  # leaving the context deletes the folder

    def _take(self, segment: Segment) -> None:
        """Check that a segment is of the same version of the style as those before it.

        Otherwise one of them is going to be painted anew.
        """
        self._styles = self._styles or segment.styles
        if segment.styles not in ("", self._styles):
            raise ResultError("MIXED_SEGMENTS", "the style was changed in the meantime")

    async def _segments(self) -> AsyncGenerator[tuple[Chunk, Segment]]:
        """Yield the segments in order, each as soon as it is there."""
        waiting = deque(self._manifest.chunks)
        ahead: deque[tuple[Chunk, asyncio.Task[Segment]]] = deque()
        try:
            while waiting or ahead:
                self._news.clear()
                while waiting and len(ahead) < _AHEAD and self._is_there(waiting[0].index):
                    chunk = waiting.popleft()
                    fetch = self._materials.segment(self._manifest, chunk.index)
                    ahead.append((chunk, asyncio.create_task(fetch)))
                if not ahead:
                    await self._news.wait()
                    continue
                chunk, fetching = ahead.popleft()
                yield chunk, await fetching
        finally:
            for _, fetching in ahead:
                fetching.cancel()
            await asyncio.gather(*(fetching for _, fetching in ahead), return_exceptions=True)

    async def _in_thread(self, step: Callable[..., T], *args: object) -> T:
        """Run a step in a thread; even when cancelled, wait for it, since threads go on."""
        taken = asyncio.get_running_loop().run_in_executor(self._threads, step, *args)
        try:
            return await asyncio.shield(taken)
        finally:
            await asyncio.wait({taken})
