"""The faults that affect a single job: its events and its chunks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeVar

from chaos.arena import Arena
from chaos.history import HubEvent
from chaos.poison import Poison
from chaos.signals import signal_group
from shared.contracts.layout import chunk_blob
from shared.contracts.messages import ChunkReady

T = TypeVar("T")

_COPIES: Final = 12
_CANDIDATES_S: Final = 2.0
_DAMAGED_BYTES: Final = 64
_CHUNK: Final = re.compile(r"([0-9a-f]{24})/(\d{8})\.mp4")
_TRACKS: Final = re.compile(r"([0-9a-f]{24})/side-[0-9a-f]{16}\.\w+")
_CHUNK_READ: Final = ("frames", "read")
_CHUNK_WRITE: Final = ("frames", "write")


class Tampering:
    """Tampers with what an arena's services work on, as ``rng`` decides."""

    def __init__(self, arena: Arena, rng: random.Random) -> None:
        self._arena = arena
        self._rng = rng

    async def repeat_newest(self) -> None:
        """Send the newest events again, like a producer that missed the answer."""
        await self._arena.repeat(self._arena.recorder.events[-_COPIES:], self._rng)

    async def repeat_any(self) -> None:
        """Send events again in any order, including those of jobs that ended long ago."""
        events = self._arena.recorder.events
        chosen = self._rng.sample(events, min(2 * _COPIES, len(events)))
        await self._arena.repeat(chosen, self._rng)

    async def damage(self) -> None:
        """Damage a chunk that has not been read yet; the pool is stopped meanwhile."""
        arena, rng = self._arena, self._rng
        with self._standing_still():
            found = await self._unread_chunks()
            if not found:
                return
            job, index = rng.choice(found)

            def change(content: bytearray) -> None:
                # Well inside the pictures' data, so that the container still opens.
                place = rng.randrange(len(content) // 2, len(content) * 3 // 4)
                content[place : place + _DAMAGED_BYTES] = rng.randbytes(_DAMAGED_BYTES)
                arena.recorder.note_damage(job, index)

            await arena.storage.damage("frames", chunk_blob(job, index), change)

    async def damage_segment(self) -> None:
        """Damage a segment that no assembler has read yet."""

        def note(job: str) -> None:
            self._arena.recorder.note_damage_by(job, "CORRUPT_SEGMENT")

        await self._damage_stored("segments", _CHUNK, note)

    async def damage_tracks(self) -> None:
        """Damage the copied tracks of a job's video, before an assembler reads them."""
        await self._damage_stored("frames", _TRACKS, self._arena.recorder.note_muting)

    async def _damage_stored(
        self, container: str, kind: re.Pattern[str], note: Callable[[str], None]
    ) -> None:
        arena, rng = self._arena, self._rng
        assemblers = [process.pid for process in arena.instances("assembler")]
        with stopped(assemblers):
            found = await self._unread(container, kind)
            if not found:
                return
            name = rng.choice(found)

            def change(content: bytearray) -> None:
                place = rng.randrange(len(content))
                content[place] ^= 1 + rng.randrange(255)
                note(name.split("/")[0])

            await arena.storage.damage(container, name, change)

    async def poison(self) -> None:
        """Kill every process that paints a chunk, unread so far, until its job has ended."""
        arena = self._arena
        with self._standing_still():
            found = await self._unread_chunks()
            if not found:
                return
            job, index = self._rng.choice(found)
            arena.recorder.note_poison(job, index)
            poison = Poison(job, index, lambda: arena.stylizers)
            arena.storage_proxy.call_hooks.append(poison.strike)
        try:
            await arena.recorder.job_ends(job)
        finally:
            arena.storage_proxy.call_hooks.remove(poison.strike)

    async def partition_to_lose(self, hub: str) -> str | None:
        """Return a partition of a hub with unfinished events, if there is one."""
        return await (self._unread_partition() if hub == "frames" else self._open_partition(hub))

    async def _open_partition(self, hub: str) -> str | None:
        recorder, reached = self._arena.recorder, await self._arena.storage.checkpoints()
        count = Counter(upload.name for upload in recorder.uploads)

        def is_open(event: HubEvent) -> bool:
            return event.hub == hub and event.sequence > reached.get((hub, event.partition), -1)

        def now() -> list[str]:
            found = [event for event in recorder.events if is_open(event)]
            # The lost event of a version that was replaced cannot be recovered from storage.
            old = {e.partition for e in found for u in e.uploads if count[u] > 1}
            return sorted({event.partition for event in found} - old)

        found = await self._candidates(now)
        return self._rng.choice(found) if found else None

    async def _unread_partition(self) -> str | None:
        """Return a partition of the hub of frames with chunks not begun yet, if there is one."""
        unread = set(await self._unread_chunks())
        found = [
            event.partition
            for event in self._arena.recorder.events
            if isinstance(message := event.message, ChunkReady) and event.hub == "frames"
            if (message.job_id, message.chunk.index) in unread
        ]
        return self._rng.choice(found) if found else None

    def _standing_still(self) -> AbstractContextManager[None]:
        return stopped([process.pid for process in self._arena.stylizers])

    async def _unread(self, container: str, kind: re.Pattern[str]) -> list[str]:
        """Return the blobs that are stored and were never read; wait for one."""
        recorder = self._arena.recorder

        def now() -> list[str]:
            jobs = {upload.job_id for upload in recorder.uploads}
            calls = [
                c for c in recorder.calls if c.container == container and kind.fullmatch(c.name)
            ]
            written = {c.name for c in calls if c.operation == "write" and c.succeeded}
            touched = {c.name for c in calls if c.operation in ("read", "delete")}
            return [n for n in sorted(written - touched) if n.split("/")[0] in jobs]

        return await self._candidates(now)

    async def _candidates(self, now: Callable[[], list[T]]) -> list[T]:
        """Return what ``now`` finds; if that is nothing, wait a while for it to find something."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CANDIDATES_S):
                while not now():
                    await self._arena.recorder.progress()
        return now()

    async def _unread_chunks(self) -> list[tuple[str, int]]:
        """Return job and number of chunks that are stored and were never read; wait for one."""
        return await self._candidates(self._unread_now)

    def _unread_now(self) -> list[tuple[str, int]]:
        recorder = self._arena.recorder
        jobs = {upload.job_id for upload in recorder.uploads}
        chunks = [call for call in recorder.calls if _CHUNK.fullmatch(call.name)]
        read = {c.name for c in chunks if (c.container, c.operation) == _CHUNK_READ}
        gone = {c.name for c in chunks if c.operation == "delete"}
        written = {c.name for c in chunks if (c.container, c.operation) == _CHUNK_WRITE}
        matches = map(_CHUNK.fullmatch, sorted(written - read - gone))
        return [(match[1], int(match[2])) for match in matches if match and match[1] in jobs]


@contextmanager
def stopped(pids: list[int | None]) -> Iterator[None]:
    """Stop processes with all their children while the context is open."""
    for pid in pids:
        signal_group(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            signal_group(pid, signal.SIGCONT)
