"""Commits the faults of a plan, each until it is healed again."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psutil

from local.chaos.arena import Arena, signal_group
from local.chaos.plan import Fault, Kind
from local.chaos.poison import Poison, ports_of
from local.chaos.relay import Relay
from local.processes import Supervised
from shared.layout import chunk_blob

_CANDIDATES_S: Final = 2.0
_COPIES: Final = 12
_SLOW_S: Final = 0.15
_LOOK_S: Final = 0.05
_BACK_S: Final = 30.0
"""A killed process that is not back by then never comes back."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A fault as it happened."""

    kind: Kind
    began: float
    healed: float
    processes: tuple[str, ...] = ()
    """Who was killed."""
    orphans: tuple[str, ...] = ()
    """Partitions of the chunks' hub that the killed had claimed."""


class Saboteur:
    """Commits faults in an arena."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._scaling = asyncio.Lock()

    async def commit(self, fault: Fault) -> Committed:
        """Commit a fault; return once it is healed."""
        began = time.time()
        verb, _, target = fault.kind.partition(" ")
        chance = random.Random(fault.seed)  # noqa: S311 - a seed must repeat the run
        killed: tuple[Supervised, ...] = ()
        orphans: tuple[str, ...] = ()
        if verb in ("kill", "terminate"):
            killed = self._victims(target, chance)
            orphans = self._held_by(killed)
            await _end(killed, signal.SIGKILL if verb == "kill" else signal.SIGTERM)
        else:
            await self._trouble(verb, target, fault.seconds, chance)
        return Committed(
            fault.kind, began, time.time(), tuple(process.name for process in killed), orphans
        )

    async def _trouble(self, verb: str, target: str, seconds: float, chance: random.Random) -> None:
        match verb:
            case "freeze":
                await _freeze(self._victims(target, chance), seconds)
            case "scale":
                await self._scale(seconds, chance)
            case "cut" | "hold" | "silence" | "slow":
                await _disturb(verb, self._relay(target), seconds)
            case "storage":
                await self._refuse(seconds)
            case "answers":
                await self._lose_answers(seconds)
            case "events":
                await self._copy(chance, shuffled=False)
            case "old":
                await self._copy(chance, shuffled=True)
            case "damage":
                await self._damage(chance)
            case "poison":
                await self._poison(chance)

    def _victims(self, target: str, chance: random.Random) -> tuple[Supervised, ...]:
        arena = self._arena
        match target:
            case "stylizer":
                return (chance.choice(arena.stylizers),)
            case "the broker":
                return (arena.process("eventhubs"),)
            case "storage":
                return (arena.process("azurite"),)
            case "everything":
                # Azurite keeps its metadata in memory between saves and promises nothing when it
                # is killed; it alone is spared.
                return tuple(p for p in arena.stack.processes if p.name != "azurite")
        return (arena.process(target),)

    def _held_by(self, processes: Sequence[Supervised]) -> tuple[str, ...]:
        """Tell which partitions of the chunks' hub processes hold, from their claims and ports."""
        ports: set[int] = set()
        for process in processes:
            if process.name.startswith("stylizer") and process.pid is not None:
                ports |= ports_of(psutil.Process(process.pid))
        claims: dict[str, int] = {}
        for call in self._arena.recorder.calls:
            if call.container == "checkpoints" and "/frames/" in call.name and call.succeeded:
                head, _, partition = call.name.rpartition("/")
                if head.endswith("/ownership"):
                    claims[partition] = call.client
        return tuple(sorted(partition for partition, port in claims.items() if port in ports))

    def _relay(self, target: str) -> Relay:
        return self._arena.broker_proxy if target.endswith("broker") else self._arena.storage_proxy

    async def _scale(self, seconds: float, chance: random.Random) -> None:
        async with self._scaling:
            before = len(self._arena.stylizers)
            await self._arena.stack.scale(
                chance.choice([n for n in (1, before + 1) if n != before])
            )
            await asyncio.sleep(seconds)
            await self._arena.stack.scale(before)

    async def _refuse(self, seconds: float) -> None:
        self._arena.storage_proxy.busy = True
        await asyncio.sleep(seconds)
        self._arena.storage_proxy.busy = False

    async def _lose_answers(self, seconds: float) -> None:
        self._arena.storage_proxy.losing_answers = True
        await asyncio.sleep(seconds)
        self._arena.storage_proxy.losing_answers = False

    async def _copy(self, chance: random.Random, *, shuffled: bool) -> None:
        """Send the newest events again, or old ones in any order."""
        events = list(self._arena.recorder.events)
        chosen = (
            chance.sample(events, min(2 * _COPIES, len(events))) if shuffled else events[-_COPIES:]
        )
        await self._arena.repeat(chosen, chance)

    async def _damage(self, chance: random.Random) -> None:
        """Damage a chunk that nobody has read yet; the pool stands still meanwhile."""
        with self._standing_still():
            found = await self._unread_chunks()
            if not found:
                return
            job, index = chance.choice(found)
            name = chunk_blob(job, index)
            content = bytearray(await self._arena.read_chunk(name))
            # Well inside the pictures' data: the container still opens.
            place = chance.randrange(len(content) // 2, len(content) * 3 // 4)
            content[place : place + 64] = chance.randbytes(64)
            self._arena.recorder.note_damage(job, index)
            await self._arena.rewrite_chunk(name, bytes(content))

    async def _poison(self, chance: random.Random) -> None:
        """Make a chunk that nobody has read yet deadly, until its job has ended."""
        arena = self._arena
        with self._standing_still():
            found = await self._unread_chunks()
            if not found:
                return
            job, index = chance.choice(found)
            arena.recorder.note_poison(job, index)
            poison = Poison(job, index, lambda: arena.stylizers)
            arena.storage_proxy.ambushes.append(poison.strike)
        try:
            await poison.spent.wait()
        finally:
            arena.storage_proxy.ambushes.remove(poison.strike)

    @contextmanager
    def _standing_still(self) -> Iterator[None]:
        pids = [process.pid for process in self._arena.stylizers]
        for pid in pids:
            signal_group(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                signal_group(pid, signal.SIGCONT)

    async def _unread_chunks(self) -> list[tuple[str, int]]:
        """Return job and number of chunks that are stored and were never read; waits for one."""
        recorder = self._arena.recorder
        jobs = {upload.job_id for upload in recorder.uploads}
        found: list[tuple[str, int]] = []
        try:
            async with asyncio.timeout(_CANDIDATES_S):
                while not found:
                    chunks = [c for c in recorder.calls if _CHUNK.fullmatch(c.name)]
                    read = {c.name for c in chunks if (c.container, c.operation) == _CHUNK_READ}
                    gone = {c.name for c in chunks if c.operation == "delete"}
                    written = {c.name for c in chunks if (c.container, c.operation) == _CHUNK_WRITE}
                    matches = map(_CHUNK.fullmatch, sorted(written - read - gone))
                    found = [(m[1], int(m[2])) for m in matches if m and m[1] in jobs]
                    if not found:
                        await recorder.progress()
        except TimeoutError:
            return []
        return found


_CHUNK: Final = re.compile(r"([0-9a-f]{24})/(\d{8})\.mp4")
_CHUNK_READ: Final = ("frames", "read")
_CHUNK_WRITE: Final = ("frames", "write")


async def _disturb(verb: str, relay: Relay, seconds: float) -> None:
    match verb:
        case "cut":
            relay.cut()
        case "silence":
            relay.silence()
        case "hold":
            relay.hold()
            await asyncio.sleep(seconds)
            relay.release()
        case "slow":
            relay.delay_s = _SLOW_S
            await asyncio.sleep(seconds)
            relay.delay_s = 0.0


async def _end(processes: tuple[Supervised, ...], number: signal.Signals) -> None:
    """Signal processes at one moment and wait until all are back."""
    before = {process.name: process.pid for process in processes}
    for process in processes:
        if (pid := process.pid) is not None:
            os.kill(pid, number)
    async with asyncio.timeout(_BACK_S):
        for process in processes:
            await _back(process, before[process.name])


async def _back(process: Supervised, before: int | None) -> None:
    while process.pid in (None, before) and process.failure is None:  # noqa: ASYNC110 - it is a process that we wait for
        await asyncio.sleep(_LOOK_S)


async def _freeze(processes: tuple[Supervised, ...], seconds: float) -> None:
    """Stop processes with all their children, as a host does that pauses a machine."""
    pids = [process.pid for process in processes]
    try:
        for pid in pids:
            signal_group(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            signal_group(pid, signal.SIGCONT)
