"""Faults of processes and connections; each returns when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Sequence
from typing import Final

import psutil

from chaos.relay import Relay
from chaos.signals import signal_group
from local.processes import Supervised

_SLOW_S: Final = 0.15
_POLL_S: Final = 0.05
_DECODER_S: Final = 3.0
_SPARE_BYTES: Final = 4 * 2**20


async def kill_decoder(splitters: Sequence[Supervised], rng: random.Random) -> None:
    """Kill a process that decodes an upload, and nothing else; wait briefly for one."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DECODER_S):
            while not (decoders := _decoders(splitters)):  # noqa: ASYNC110 - it is a process that we wait for
                await asyncio.sleep(_POLL_S)
            with contextlib.suppress(psutil.NoSuchProcess):
                rng.choice(decoders).kill()


def _decoders(splitters: Sequence[Supervised]) -> list[psutil.Process]:
    """Return the forks of the splitters' fork servers."""
    found: list[psutil.Process] = []
    for splitter in splitters:
        if splitter.pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for server in psutil.Process(splitter.pid).children():
                    found += server.children()
    return found


async def disturb(verb: str, relay: Relay, seconds: float) -> None:
    """Cut, silence, hold or slow down the connections of a relay; the last two for a while."""
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


def send(processes: Sequence[Supervised], number: signal.Signals) -> list[int | None]:
    """Send a signal to processes at the same moment; return their process ids."""
    before = [process.pid for process in processes]
    for pid in before:
        if pid is not None:
            # Another fault may have just killed it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    return before


async def starve(processes: Sequence[Supervised], seconds: float) -> None:
    """Allow processes hardly more memory than they use, as at the limit of a container."""
    starved = []
    for process in processes:
        if process.pid is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                one = psutil.Process(process.pid)
                limits = one.rlimit(psutil.RLIMIT_AS)
                one.rlimit(psutil.RLIMIT_AS, (one.memory_info().vms + _SPARE_BYTES, limits[1]))
                starved.append((one, limits))
    await asyncio.sleep(seconds)
    for one, limits in starved:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.rlimit(psutil.RLIMIT_AS, limits)


async def freeze(processes: tuple[Supervised, ...], seconds: float) -> None:
    """Stop processes with all their children, as when a host pauses a virtual machine."""
    pids = [process.pid for process in processes]
    try:
        for pid in pids:
            signal_group(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            signal_group(pid, signal.SIGCONT)
