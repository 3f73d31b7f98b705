"""Measures a pool that grows step by step, with a job at each step."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.clip import write_clip
from bench.moments import segment_moments
from bench.pipeline import CLIENT, paint
from client import Account, open_pipeline
from local.children import inherited, python
from local.defaults import DEFAULT_STYLE
from local.processes import Command, Supervised
from local.readiness import LineReady
from local.stack import Stack, StackOptions
from shared.contracts.style_request import StyleRequest
from shared.service.machine import usable_cores
from shared.storage.accounts import storage_client
from shared.storage.blobs import BlobStore

FRAME_S: Final = 0.16
"""The time of a simulated frame, long enough for 32 stylizers on two cores."""
SIZES: Final = (1, 2, 4, 8, 16, 32)

_PARTITIONS: Final = 32
_CHUNK_FRAMES: Final = 16
_CHUNKS_A_STYLIZER: Final = 8
_SIZE: Final = (128, 72)
_LOOK_S: Final = 0.1
_PATIENCE_S: Final = 300.0

_FULL: Final = 0.9
_MANY_CORES: Final = ("splitter",)
"""Services that can use several cores for one job; the others work in one thread."""


@dataclass(frozen=True, slots=True)
class Step:
    """A pool of one size, and the job that it painted."""

    stylizers: int
    shared_s: float
    """From the time when new stylizers read their hub until all have their share of it."""
    frames: int
    frames_per_second: float
    """While the job was painted."""
    ideal: float
    """Frames a second that the engines could paint if they never waited."""
    cores: dict[str, float]
    """Cores that the job kept busy, by process."""
    idle: float
    """The share of the machine's cores that was idle, 0 to 1; other programs count as well."""
    machine_cores: int
    """The number of usable cores."""

    @property
    def efficiency(self) -> float:
        """The speed as a share of the ideal."""
        return self.frames_per_second / self.ideal

    @property
    def full(self) -> str | None:
        """Return what was saturated: the cores, or a process with one thread."""
        if sum(self.cores.values()) > _FULL * self.machine_cores:
            return f"{self.machine_cores} cores"
        if self.idle < 1 - _FULL:
            return f"{self.machine_cores} cores, with the work of others"
        single = {name: busy for name, busy in self.cores.items() if name not in _MANY_CORES}
        busiest = max(single, key=lambda name: single[name])
        return busiest if single[busiest] > _FULL else None


async def measure(
    sizes: Sequence[int] = SIZES, environment: Mapping[str, str] | None = None
) -> list[Step]:
    """Let a pool of simulated stylizers grow through ``sizes``, and paint a job at each.

    ``environment`` is added to that of the splitter, assembler and stylizers.

    Raises:
        StylestreamError: a job failed.
    """
    chunks = {"CHUNK_FRAMES": str(_CHUNK_FRAMES), "FIRST_CHUNK_FRAMES": str(_CHUNK_FRAMES)}
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        options = StackOptions(
            Path(folder) / "stack",
            stylizers=0,
            partitions=_PARTITIONS,
            environment={**chunks, **(environment or {})},
            disposable=True,
        )
        async with Stack(options) as stack, AsyncExitStack() as pools:
            measuring = _Measuring(stack, Path(folder), environment or {})
            steps = []
            for before, size in zip((0, *sizes), sizes, strict=False):
                await pools.enter_async_context(measuring.joined(size - before))
                steps.append(await measuring.step(size))
            return steps


def chunks_for(stylizers: int) -> int:
    """Return the number of chunks of a job that keeps a pool busy long enough to measure.

    For several stylizers it is a multiple of the partitions, so that each gets as many chunks.
    """
    if stylizers == 1:
        return _CHUNKS_A_STYLIZER
    return -(-stylizers * _CHUNKS_A_STYLIZER // _PARTITIONS) * _PARTITIONS


class _Measuring:
    def __init__(self, stack: Stack, folder: Path, environment: Mapping[str, str]) -> None:
        self._stack = stack
        self._folder = folder
        self._environment = environment
        self._pools: list[Supervised] = []

    @asynccontextmanager
    async def joined(self, count: int) -> AsyncIterator[None]:
        """Add ``count`` stylizers to the pool."""
        name = f"stylizers-{len(self._pools) + 1}"
        settings = {
            "EVENTHUB_CONNECTION_STRING": self._stack.eventhub_connection_string,
            "STORAGE_CONNECTION_STRING": self._stack.storage_connection_string,
            "LANES": "1",
            "LOG_LEVEL": "WARNING",
        }
        command = Command(
            name,
            python("bench.scale_out.pool", str(count), str(FRAME_S)),
            inherited(self._folder) | settings | dict(self._environment),
            self._folder / f"{name}.log",
            LineReady("ready "),
            grace_s=0.0,
        )
        pool = Supervised(command)
        await pool.start()
        self._pools.append(pool)
        try:
            yield
        finally:
            await pool.stop()

    async def step(self, stylizers: int) -> Step:
        """Wait until the pool shares the hub, then measure a job."""
        began = time.monotonic()
        await self._shared(stylizers)
        shared_s = time.monotonic() - began
        frames = chunks_for(stylizers) * _CHUNK_FRAMES
        clip = self._folder / f"{stylizers}.mp4"
        await asyncio.to_thread(write_clip, clip, frames, *_SIZE)
        busy_s, started = self._cpu_s(), time.monotonic()
        psutil.cpu_times_percent()
        account = Account(self._stack.storage_connection_string)
        async with open_pipeline(account) as pipeline:
            status = await paint(pipeline, clip, StyleRequest(style=DEFAULT_STYLE))
        lasted_s = time.monotonic() - started
        idle = psutil.cpu_times_percent().idle / 100
        cores = {
            name: (cpu_s - busy_s.get(name, 0.0)) / lasted_s
            for name, cpu_s in self._cpu_s().items()
        }
        hubs = self._stack.eventhub_connection_string
        moments = await segment_moments(hubs, "segments", status.job_id)
        # The first chunk was begun this long before its segment was announced.
        painting_s = moments.last_segment - moments.first_segment + _CHUNK_FRAMES * FRAME_S
        return Step(
            stylizers,
            shared_s,
            frames,
            frames / painting_s,
            stylizers / FRAME_S,
            cores,
            idle,
            usable_cores(),
        )

    async def _shared(self, stylizers: int) -> None:
        """Return once all stylizers own the same number of partitions."""
        container = "frames-checkpoints"
        async with (
            asyncio.timeout(_PATIENCE_S),
            storage_client(self._stack.storage_connection_string, None, None) as account,
        ):
            blobs = BlobStore(account)
            while True:
                owned = Counter(
                    [
                        item.metadata.get("ownerid")
                        async for item in blobs.items(container)
                        if "/ownership/" in item.name
                    ]
                )
                if len(owned) == stylizers and set(owned.values()) == {_PARTITIONS // stylizers}:
                    return
                await asyncio.sleep(_LOOK_S)

    def _cpu_s(self) -> dict[str, float]:
        processes = (*self._stack.processes, *self._pools)
        usages = {process.name: process.usage() for process in processes}
        found = {name: usage.cpu_s for name, usage in usages.items() if usage is not None}
        return {**found, CLIENT: time.process_time()}
