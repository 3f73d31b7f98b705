"""Commits the faults of a plan, each until it is healed again."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from chaos.arena import Arena
from chaos.plan import Fault, Kind, recovery_s
from chaos.poison import ports_of
from chaos.relay import Relay
from chaos.release import wrong_clock
from chaos.strikes import disturb, freeze, kill_decoder, send, starve
from chaos.tampering import Tampering, stopped
from chaos.updated_styles import updated_styles
from chaos.users import Users
from local.processes import Supervised

_ACCOUNTS: Final = {
    "the users' account": frozenset({"uploads", "results", "jobs"}),
    "the internal account": frozenset(
        {
            *("frames", "segments", "dead-letters"),
            *("uploads-checkpoints", "frames-checkpoints", "segments-checkpoints"),
        }
    ),
}
"""The containers of each account, as in a deployment that has two."""
_READ_BY: Final = {
    "uploads": ("uploads", "splitter"),
    "chunks": ("frames", "stylizer"),
    "segments": ("segments", "assembler"),
}
"""By the subject of events: their hub, and the service that reads it."""
_POLL_S: Final = 0.05
_SKEW_S: Final = 10
"""Twice the ownership expiry of the run's settings, so that a wrong clock misjudges owners."""
_RESTART_S: Final = 60.0
"""A killed process that is not back by then will not come back."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A fault as it happened."""

    kind: Kind
    began: float
    processes: tuple[str, ...]
    """The processes that were killed."""
    orphans: tuple[str, ...]
    """Partitions of the hub of chunks that the killed processes had claimed."""


class Saboteur:
    """Commits faults in an arena."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._scaling = asyncio.Lock()
        # A process that is killed during its first start is not restarted.
        self._starting = asyncio.Lock()
        # A proxy refuses for one cause at a time: what came second would end what came first.
        self._refusing = asyncio.Lock()
        self._turning_away = asyncio.Lock()

    async def commit(self, fault: Fault) -> Committed:
        """Commit a fault; return once it is healed."""
        began = time.time()
        verb, _, target = fault.kind.partition(" ")
        rng = random.Random(fault.seed)  # noqa: S311 - a seed must repeat the run
        killed: tuple[Supervised, ...] = ()
        orphans: tuple[str, ...] = ()
        if target == "a decoder":
            await kill_decoder(self._arena.instances("splitter"), rng)
        elif verb in ("kill", "terminate"):
            async with self._starting:
                killed = self._victims(target, rng)
                orphans = self._held_by(killed)
                before = send(killed, signal.SIGKILL if verb == "kill" else signal.SIGTERM)
            if target == "storage":
                # Azurite ends only after its connections, and silent ones never end.
                self._arena.storage_proxy.cut()
            await self._return(killed, before)
        else:
            await self._apply(fault, rng)
        healed = time.time()
        self._arena.recorder.note_trouble(began, healed + recovery_s(fault.kind))
        return Committed(fault.kind, began, tuple(process.name for process in killed), orphans)

    async def roll_out(self, what: str) -> None:
        """Roll out another release to all services, one after another, or roll it back."""
        arena, release = self._arena, self._arena.release
        match what:
            case "other settings":
                release.other_settings = not release.other_settings
            case "updated styles":
                release.styles = None if release.styles else await updated_styles(arena.styles)
            case _:
                release.newer = not release.newer
        for service in ("stylizer", "splitter", "assembler"):
            for process in arena.instances(service):
                await self._start_again(process)

    async def _start_again(self, process: Supervised) -> None:
        """Restart a process in its current release."""
        async with self._starting:
            self._arena.release.apply(process)
            before = send((process,), signal.SIGTERM)
        await self._return((process,), before)

    async def _skew_clock(self, seconds: float, rng: random.Random) -> None:
        """Give one process a wrong clock for a while, if libfaketime is installed."""
        clock = wrong_clock(rng.choice((-1, 1)) * rng.randrange(_SKEW_S, 3 * _SKEW_S))
        if clock is None:
            return
        service = rng.choice(("stylizer", "splitter", "assembler"))
        for process in self._one_of(service, rng):
            self._arena.release.clocks[process.name] = clock
            await self._start_again(process)
            await asyncio.sleep(seconds)
            del self._arena.release.clocks[process.name]
            await self._start_again(process)

    async def _return(self, processes: Sequence[Supervised], before: Sequence[int | None]) -> None:
        """Wait until all processes are back, except those that the pool no longer includes."""
        async with asyncio.timeout(_RESTART_S):
            for process, pid in zip(processes, before, strict=True):
                while self._is_away(process, pid):  # noqa: ASYNC110 - it is a process that we wait for
                    await asyncio.sleep(_POLL_S)

    def _is_away(self, process: Supervised, before: int | None) -> bool:
        if process not in self._arena.stack.processes or process.failure is not None:
            return False
        return process.pid in (None, before)

    async def _apply(self, fault: Fault, rng: random.Random) -> None:
        verb, _, target = fault.kind.partition(" ")
        match verb:
            case "freeze":
                await freeze(self._victims(target, rng), fault.seconds)
            case "scale":
                await self._scale(
                    fault.seconds, lambda size: rng.choice([n for n in (1, size + 1) if n != size])
                )
            case "cut" | "hold" | "silence" | "slow":
                await disturb(verb, self._relay(target), fault.seconds)
            case "take":  # like a cluster without a free GPU
                await self._scale(fault.seconds, lambda _: 0)
            case "away":
                await self._make_unreachable(target.rpartition(": ")[2], fault.seconds)
            case "storage":
                await self._refuse(target.rpartition(" ")[2], fault.seconds)
            case "answers":
                await self._lose_answers(fault.seconds)
            case "roll" | "make" | "lose" | "put" | "starve" | "fill":
                await self._disrupt(fault, rng)
            case "cancel" | "delete" | "submit" | "touch" | "replace" | "users":
                await Users(self._arena, rng).act(fault.kind, fault.seconds)
            case _:
                await self._tamper(fault.kind, Tampering(self._arena, rng))

    async def _disrupt(self, fault: Fault, rng: random.Random) -> None:
        verb, _, target = fault.kind.partition(" ")
        match verb:
            case "roll":
                await self.roll_out(target.removeprefix("out "))
            case "make":
                await self._arena.renew_hubs()
            case "lose":
                await self._lose(target.partition("'")[0], rng)
            case "put":
                await self._skew_clock(fault.seconds, rng)
            case "starve":
                await starve(self._victims(target, rng), fault.seconds)
            case "fill":
                await self._fill_disk(fault.seconds)

    async def _tamper(self, kind: Kind, tampering: Tampering) -> None:
        match kind:
            case "events come twice":
                await tampering.repeat_newest()
            case "old events come again, shuffled":
                await tampering.repeat_any()
            case "damage a chunk":
                await tampering.damage()
            case "damage a segment":
                await tampering.damage_segment()
            case "damage copied tracks":
                await tampering.damage_tracks()
            case "poison a chunk":
                await tampering.poison()
            case _:
                raise AssertionError(kind)

    def _victims(self, target: str, rng: random.Random) -> tuple[Supervised, ...]:
        arena = self._arena
        match target:
            case "the broker":
                return (arena.process("eventhubs"),)
            case "storage":
                return (arena.process("azurite"),)
            case "everything":
                # Azurite alone is spared: it keeps metadata in memory between saves, and guarantees
                # nothing when it is killed.
                return tuple(p for p in arena.stack.processes if p.name != "azurite")
        return self._one_of(target, rng)

    def _one_of(self, service: str, rng: random.Random) -> tuple[Supervised, ...]:
        """Choose a process of a service; an empty tuple while there is none."""
        there = self._arena.instances(service)
        return (rng.choice(there),) if there else ()

    def _held_by(self, processes: Sequence[Supervised]) -> tuple[str, ...]:
        """Return the partitions of the hub of chunks that processes own, by claims and ports."""
        ports: set[int] = set()
        for process in processes:
            if process.name.startswith("stylizer") and process.pid is not None:
                # Another fault may have just killed it.
                with contextlib.suppress(psutil.NoSuchProcess):
                    ports |= ports_of(psutil.Process(process.pid))
        owners: dict[str, str] = {}
        # Renewing any one partition shows an owner's port for all that it owns.
        client_ports: dict[str, int] = {}
        for call in self._arena.recorder.calls:
            head, _, partition = call.name.rpartition("/")
            owner = call.metadata.get("ownerid", "")
            claims = call.container == "frames-checkpoints" and head.endswith("/ownership")
            if claims and call.succeeded:
                owners[partition] = owner
                client_ports[owner] = call.client
        held = (id_ for id_, owner in owners.items() if owner and client_ports[owner] in ports)
        return tuple(sorted(held))

    def _relay(self, target: str) -> Relay:
        return self._arena.broker_proxy if target.endswith("broker") else self._arena.storage_proxy

    async def _scale(self, seconds: float, size: Callable[[int], int]) -> None:
        """Give the pool for a while the size that ``size`` makes of its own."""
        async with self._scaling:
            before = len(self._arena.stylizers)
            async with self._starting:
                await self._arena.scale(size(before))
            await asyncio.sleep(seconds)
            async with self._starting:
                await self._arena.scale(before)

    async def _make_unreachable(self, target: str, seconds: float) -> None:
        arena = self._arena
        if target == "the topic":
            arena.topic_away = True
            arena.topic_proxy.cut()
            await asyncio.sleep(seconds)
            arena.topic_away = False
        elif target.endswith(" hub"):
            async with self._turning_away:
                arena.broker_proxy.turn_away(target.split()[1])
                await asyncio.sleep(seconds)
                arena.broker_proxy.turn_away(None)
        else:
            arena.storage_proxy.away |= _ACCOUNTS[target]
            await asyncio.sleep(seconds)
            arena.storage_proxy.away -= _ACCOUNTS[target]

    async def _lose(self, what: str, rng: random.Random) -> None:
        """Lose events that are not finished, as a hub does when its retention ends."""
        hub, service = _READ_BY[what]
        async with self._starting:
            pool = tuple(self._arena.instances(service))
            with stopped([process.pid for process in pool]):
                partition = await Tampering(self._arena, rng).partition_to_lose(hub)
                if partition is None:
                    return
                await self._arena.skip_partition(hub, partition)
                # A running reader would read on, but the next one starts at the position.
                before = send(pool, signal.SIGKILL)
        await self._return(pool, before)

    async def _fill_disk(self, seconds: float) -> None:
        """Fill the work folders' disk for a while; open jobs may then fail with ``NO_SPACE``."""
        arena, struck = self._arena, time.time()
        await asyncio.to_thread(arena.disk.fill)
        await asyncio.sleep(seconds)
        arena.disk.free()
        for upload in [*arena.recorder.uploads]:
            if arena.disk.small and not arena.recorder.had_ended(upload.job_id, struck):
                arena.recorder.note_damage_by(upload.job_id, "NO_SPACE")

    async def _refuse(self, status: str, seconds: float) -> None:
        async with self._refusing:
            self._arena.storage_proxy.refusing = status
            await asyncio.sleep(seconds)
            self._arena.storage_proxy.refusing = None

    async def _lose_answers(self, seconds: float) -> None:
        self._arena.storage_proxy.losing_answers = True
        await asyncio.sleep(seconds)
        self._arena.storage_proxy.losing_answers = False
