"""The speed of the whole pipeline on this machine, and the cost of each process."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple, Self

from bench.clip import write_clip
from bench.memory import own_share_mib, peak_mib, shared_out_mib
from bench.moments import segment_moments
from client import Account, Pipeline, StyleRequest, open_pipeline
from local.defaults import SAMPLE
from local.processes import Usage
from local.stack import Stack, StackOptions
from shared.contracts.errors import StylestreamError
from shared.contracts.manifest import NO_BARS
from shared.contracts.status import Status
from shared.contracts.style_request import DEFAULT_BRUSH
from stylizer.painting.framing import Framing

CLIENT: Final = "client"
"""This process, which includes the upload watcher."""

_SAMPLING_S: Final = 1.0
"""A sample takes 20 ms of processor time, which the measured job cannot have."""
_SHARES: Final = 5
"""Samples for each sample of PSS, which takes 60 ms: the system has to visit all pages."""
_HUB: Final = "segments"


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """What one process and its children cost during the measured job."""

    cpu_ms_per_frame: float
    peak_memory_mib: float
    """Resident memory; for several processes the sum of their peaks."""
    peak_share_mib: float
    """Its PSS, which divides shared memory; 0 if the system does not report it."""


class Case(NamedTuple):
    """A clip to paint."""

    width: int
    height: int
    frames: int

    @property
    def size(self) -> str:
        """Return how tables name it."""
        return f"{self.width}x{self.height}"

    @property
    def painted(self) -> tuple[int, int]:
        """Return the width and height at which its frames are painted."""
        return Framing.of(self.width, self.height, NO_BARS, DEFAULT_BRUSH).working


@dataclass(frozen=True, slots=True)
class JobFigures:
    """One job on a warm stack. Times are measured from the beginning of the upload."""

    size: str
    painted: str
    """The size at which the network gets its frames."""
    frames: int
    seconds: float
    frames_per_second: float
    first_segment_s: float
    result_after_last_segment_s: float
    processes: dict[str, ProcessCost]
    """Peaks are those since the start of the stack."""

    @property
    def cpu_ms_per_frame(self) -> float:
        """The cost of all processes together."""
        return sum(cost.cpu_ms_per_frame for cost in self.processes.values())

    @property
    def largest_process_mib(self) -> float:
        """The largest peak of a service's processes; the client is the benchmark itself."""
        return max(cost.peak_memory_mib for name, cost in self.processes.items() if name != CLIENT)


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """Jobs that one stack painted one after the other."""

    jobs: list[JobFigures]
    start_s: float
    """Time until all services of the stack were ready."""
    stop_s: float
    """Time to stop a stack whose data are deleted."""


async def measure(
    cases: Sequence[Case], style: str, stylizers: int, environment: Mapping[str, str]
) -> PipelineFigures:
    """Warm up a new stack with the sample, then measure a job for each case, in order.

    ``environment`` is added to that of the stack's services.

    Raises:
        StylestreamError: a job failed.
    """
    request = StyleRequest(style=style)
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        # Like the temporary stack of `stylestream run`.
        options = StackOptions(
            Path(folder) / "stack", stylizers, environment=environment, disposable=True
        )
        starting = time.monotonic()
        async with (
            Stack(options) as stack,
            open_pipeline(Account(stack.storage_connection_string)) as pipeline,
        ):
            start_s = time.monotonic() - starting
            clips = [Path(folder) / f"{case.size}.mp4" for case in cases]
            for clip, case in zip(clips, cases, strict=True):
                await asyncio.to_thread(write_clip, clip, case.frames, case.width, case.height)
            await paint(pipeline, SAMPLE, request)
            jobs = [
                await _job(stack, pipeline, clip, case, request)
                for clip, case in zip(clips, cases, strict=True)
            ]
            stopping = time.monotonic()
        return PipelineFigures(jobs, start_s, time.monotonic() - stopping)


async def _job(
    stack: Stack, pipeline: Pipeline, clip: Path, case: Case, request: StyleRequest
) -> JobFigures:
    with CostMeter(stack) as meter:
        began = time.time()
        status = await paint(pipeline, clip, request)
    moments = await segment_moments(stack.eventhub_connection_string, _HUB, status.job_id)
    ended = datetime.fromisoformat(status.updated_at).timestamp()
    return JobFigures(
        size=case.size,
        painted="{}x{}".format(*case.painted),
        frames=status.frames,
        seconds=ended - began,
        frames_per_second=status.frames / (ended - began),
        first_segment_s=moments.first_segment - began,
        result_after_last_segment_s=ended - moments.last_segment,
        processes=meter.costs(status.frames),
    )


async def paint(pipeline: Pipeline, clip: Path, request: StyleRequest) -> Status:
    """Paint a clip and return the job's last record.

    Raises:
        StylestreamError: the job failed.
    """
    submission = await pipeline.submit(clip, request)
    return await ended(pipeline, submission.job_id)


async def ended(pipeline: Pipeline, job_id: str) -> Status:
    """Wait until a job has ended, and return its last record.

    Raises:
        StylestreamError: the job failed.
    """
    async for view in pipeline.watch(job_id):
        status = view.status
    assert status is not None
    if status.error is not None:
        raise StylestreamError(f"the measured job failed: {status.error.message}")
    return status


class CostMeter:
    """Samples the stack's processes, because the peaks of children are lost when they end.

    What sampling itself costs this process is not counted.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before: dict[str, Usage] = {}
        self._after: dict[str, Usage] = {}
        self._own_cpu_s = self._sampling_cpu_s = 0.0
        self._peaks: dict[str, int] = {}
        self._shares: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._before = self._sample()
        self._sampling_cpu_s = 0.0
        self._own_cpu_s = time.process_time()
        self._sampling = asyncio.create_task(self._sample_regularly())
        return self

    def __exit__(self, *_exc: object) -> None:
        self._sampling.cancel()
        self._after = self._sample()
        self._own_cpu_s = time.process_time() - self._own_cpu_s - self._sampling_cpu_s

    def costs(self, frames: int) -> dict[str, ProcessCost]:
        """Return the cost of each process; "client" is this process with the upload watcher."""
        costs = {
            name: ProcessCost(
                1000 * (after.cpu_s - self._before[name].cpu_s) / frames,
                self._peaks[name] / 2**20,
                self._shares.get(name, 0.0),
            )
            for name, after in self._after.items()
        }
        costs[CLIENT] = ProcessCost(
            1000 * self._own_cpu_s / frames, peak_mib(os.getpid()), self._shares.get(CLIENT, 0.0)
        )
        return costs

    def cpu_ms(self, parts: int) -> float:
        """Return the CPU time of all processes together, divided by ``parts`` of the work."""
        return sum(cost.cpu_ms_per_frame for cost in self.costs(parts).values())

    async def _sample_regularly(self) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(_SAMPLING_S)
            self._sample()
            if number % _SHARES == 0:
                await asyncio.to_thread(self._sample_shares)

    def _sample(self) -> dict[str, Usage]:
        with self._uncounted():
            usages = {p.name: usage for p in self._stack.processes if (usage := p.usage())}
        for name, usage in usages.items():
            self._peaks[name] = max(self._peaks.get(name, 0), usage.peak_rss_bytes)
        return usages

    @contextmanager
    def _uncounted(self) -> Iterator[None]:
        began = time.thread_time()
        yield
        self._sampling_cpu_s += time.thread_time() - began

    def _sample_shares(self) -> None:
        pids = {p.name: p.pid for p in self._stack.processes if p.pid is not None}
        with self._uncounted():
            shares = {name: shared_out_mib(pid) for name, pid in pids.items()}
            shares[CLIENT] = own_share_mib()
        for name, share in shares.items():
            self._shares[name] = max(self._shares.get(name, 0.0), share)
