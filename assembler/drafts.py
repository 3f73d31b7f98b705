"""Results that are begun before all of their segments are there.

While a video is split, its segments are fetched; its sound is not known yet. Then they are joined,
and when the last one comes, only that one has to be appended. A draft is a head start and nothing
more: it is written by the same code from the same blobs, and if anything is wrong with it, it is
discarded and the result is made from storage as if there had never been a draft.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import structlog

from assembler.job import Job
from assembler.materials import Materials, Segment
from assembler.mux import Joining
from shared.contracts.errors import ResultError
from shared.contracts.manifest import Chunk
from shared.storage.retry import Retry
from shared.storage.work_folders import work_folder

log = structlog.get_logger()
T = TypeVar("T")

_AHEAD: Final = 2
"""Segments of a draft in memory at once: one being written, one being fetched."""

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
    """The drafts of an assembler's jobs, at most ``most`` at once; ``begin`` begins one.

    A job's segments are joined in advance once in all, whichever assemblers follow it. That is
    counted before it begins, so that a draft that kills its assembler does not kill the next one.
    """

    def __init__(self, most: int, begin: Callable[[Job], Draft]) -> None:
        self._most = most
        self._begin = begin
        self._drafts: dict[str, Draft] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def go_on(self, job: Job) -> None:
        """Write as much of a job's result as possible in the background; return at once."""
        draft = self._drafts.get(job.job_id)
        if draft is None and self._has_room():
            draft = self._drafts[job.job_id] = self._begin(job)
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
        return sum(not draft.over for draft in self._drafts.values()) < self._most


class Draft:
    """One job's result, written into ``work_dir`` in order, as far as its segments are there."""

    def __init__(
        self,
        work_dir: str | None,
        materials: Materials,
        threads: Executor,
        count: Count,
        retry: Retry,
        job: Job,
    ) -> None:
        self._work_dir = work_dir
        self._job = job
        self._materials = materials
        self._threads = threads
        self._count = count
        self._retry = retry
        self._styles = ""
        self._news = asyncio.Event()
        self._written: asyncio.Future[Written | None] = asyncio.get_running_loop().create_future()
        self._writing = asyncio.create_task(self._write())

    @property
    def over(self) -> bool:
        """Whether the draft has failed or was discarded."""
        return self._writing.done()

    def notify(self) -> None:
        """Wake the writer, because there may be a manifest or further segments."""
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
            with work_folder(self._work_dir) as folder:
                fetched = await self._fetch_during_split(folder)
                if await self._count(self._job):
                    self._written.set_result(await self._join(folder, fetched))
                    await asyncio.Event().wait()  # leaving the context deletes the folder
        except Exception as error:  # making the result from storage reports the cause
            log.info(
                "draft result not written",
                job_id=self._job.job_id,
                error=f"{type(error).__name__}: {error}",
            )
        finally:
            if not self._written.done():
                self._written.set_result(None)

    async def _fetch_during_split(self, folder: Path) -> list[Path]:
        """Write segments to files until the manifest is there; return those files, in order."""
        files: list[Path] = []
        async with aclosing(self._segments(0, lambda _: self._job.manifest is not None)) as some:
            async for segment in some:
                file = folder / f"{len(files):08d}.mp4"
                await self._in_thread(file.write_bytes, segment.data)
                files.append(file)
        return files

    async def _join(self, folder: Path, fetched: list[Path]) -> Written:
        manifest = self._job.manifest
        assert manifest is not None
        out = folder / f"result.{manifest.source.container}"
        side = await self._materials.side(manifest, folder)
        joining = Joining(manifest, side, out)
        there, chunks = len(fetched), manifest.chunks
        try:
            for chunk, file in zip(chunks, fetched, strict=False):
                await self._in_thread(_append_file, joining, chunk, file)
            async with aclosing(self._segments(there, lambda at: at >= len(chunks))) as others:
                for chunk in chunks[there:]:
                    segment = await anext(others)
                    await self._in_thread(joining.append, chunk, segment.data)
            pictures = await self._in_thread(joining.finish)
        finally:
            await self._in_thread(joining.close)
        return Written(out, side, pictures)

    async def _segments(self, first: int, is_end: Callable[[int], bool]) -> AsyncGenerator[Segment]:
        """Yield the segments from ``first`` on in order, each as soon as it is there.

        ``is_end`` is called with the index of the next one to be fetched.
        """
        ahead: deque[asyncio.Task[Segment]] = deque()
        index = first
        try:
            while ahead or not is_end(index):
                self._news.clear()
                while self._can_fetch(index, len(ahead)) and not is_end(index):
                    fetch = partial(self._materials.segment, self._job.job_id, index)
                    ahead.append(asyncio.create_task(self._retry(fetch)))
                    index += 1
                if not ahead:
                    await self._news.wait()
                    continue
                segment = await ahead.popleft()
                self._check_style(segment)
                yield segment
        finally:
            for fetching in ahead:
                fetching.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _can_fetch(self, index: int, ahead: int) -> bool:
        return ahead < _AHEAD and self._job.completeness.has(index)

    def _check_style(self, segment: Segment) -> None:
        """Check that a segment is of the same version of the style as those before it.

        Otherwise one of them is going to be painted anew.
        """
        self._styles = self._styles or segment.styles
        if segment.styles not in ("", self._styles):
            raise ResultError("MIXED_SEGMENTS", "the style was changed in the meantime")

    async def _in_thread(self, step: Callable[..., T], *args: object) -> T:
        """Run a step in a thread; even when cancelled, wait for it, since threads go on."""
        taken = asyncio.get_running_loop().run_in_executor(self._threads, step, *args)
        try:
            return await asyncio.shield(taken)
        finally:
            await asyncio.wait({taken})


def _append_file(joining: Joining, chunk: Chunk, file: Path) -> None:
    joining.append(chunk, file.read_bytes())
    file.unlink()
