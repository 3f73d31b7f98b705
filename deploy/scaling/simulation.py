"""Simulates days of uploads, the latency of their results, and the cost of the GPU nodes.

A discrete-event model of splitters, stylizers, autoscaler and nodes; its random numbers depend only
on a seed. The autoscaler is `deploy.scaling.autoscaler`, with the lag that KEDA would compute.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.scaling.agenda import Agenda
from deploy.scaling.assumptions import Assumptions
from deploy.scaling.autoscaler import SYNC_S, Autoscaler, ScalingRule
from deploy.scaling.cluster import Cluster
from deploy.scaling.pool import Chunk, Pool
from deploy.scaling.workload import Video, uploads


@dataclass(frozen=True, slots=True)
class Sample:
    """The pool at one decision of the autoscaler."""

    time_s: float
    lag: int
    wanted: int
    working: int
    nodes: int
    uploads: int
    """Uploads that wait for a splitter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a simulation."""

    latencies_s: tuple[float, ...]
    """From upload to result, for each video, sorted."""
    samples: tuple[Sample, ...]
    node_hours: float
    cold_starts: int
    evictions: int
    repeated_chunks: int
    oldest_chunk_s: float = 0.0
    """The longest time that a chunk was in the hub of frames before it was painted."""
    oldest_upload_s: float = 0.0
    """The longest time that an upload was in its hub before its split ended."""

    def latency_s(self, share: float) -> float:
        """Return the time within which this share of the videos were done."""
        index = max(0, -(-len(self.latencies_s) * share // 1) - 1)
        return self.latencies_s[int(index)]


@dataclass(slots=True)
class _Job:
    video: Video
    sent: int = 0
    painted: int = 0
    held: bool = False
    """Whether its split waits, because too many chunks are outstanding."""


@dataclass(slots=True)
class _Splitters:
    slots: int
    waiting: deque[int] = field(default_factory=deque)
    busy: int = 0
    held: int = 0
    """Of those, how many wait for the stylizers and use no CPU."""
    idle_since_s: float = float("-inf")


class Simulation:
    """One run. ``watch`` is called with every painted chunk."""

    def __init__(
        self,
        assumptions: Assumptions,
        rule: ScalingRule,
        watch: Callable[[Chunk], None] = lambda _: None,
    ) -> None:
        self._assumptions = assumptions
        self._watch = watch
        self._agenda = Agenda()
        self._pool = Pool(self._agenda, assumptions, self._painted)
        self._cluster = Cluster(self._agenda, assumptions, self._pool)
        self._autoscaler = Autoscaler(rule)
        self._replicas = rule.least
        self._oldest_chunk_s = self._oldest_upload_s = 0.0
        self._jobs = [_Job(video) for video in uploads(assumptions)]
        self._splitters = _Splitters(assumptions.splits)
        self._latencies_s: list[float] = []
        self._samples: list[Sample] = []

    def run(self) -> Outcome:
        """Run until all videos are done and the pool is back at its minimum."""
        for number, job in enumerate(self._jobs):
            self._agenda.after(job.video.arrives_s, functools.partial(self._arrive, number))
        self._cluster.resize(self._replicas)
        self._agenda.after(0.0, self._look)
        self._agenda.run()
        return Outcome(
            tuple(sorted(self._latencies_s)),
            tuple(self._samples),
            self._cluster.paid_s / 3600,
            self._cluster.cold_starts,
            self._cluster.evictions,
            self._pool.repeated,
            self._oldest_chunk_s,
            self._oldest_upload_s,
        )

    def _look(self) -> None:
        """Let the autoscaler decide, and repeat that until the simulation is over."""
        lag = self._pool.lag
        self._replicas = self._autoscaler.look(self._agenda.now_s, lag, self._replicas)
        if len(self._latencies_s) == len(self._jobs) and lag.events == 0:
            # The days are over: a pool that is always on is ended, so that its cost is known.
            self._replicas = 0 if self._replicas <= 1 else self._replicas
        self._cluster.resize(self._replicas)
        self._samples.append(
            Sample(
                self._agenda.now_s,
                lag.events,
                self._replicas,
                len(self._pool.stylizers),
                self._cluster.nodes,
                len(self._splitters.waiting),
            )
        )
        if len(self._latencies_s) < len(self._jobs) or self._replicas:
            self._agenda.after(SYNC_S, self._look)

    def _arrive(self, number: int) -> None:
        splitters, assumptions = self._splitters, self._assumptions
        asleep = (
            not splitters.busy
            and not splitters.waiting
            and self._agenda.now_s - splitters.idle_since_s > assumptions.splitter_cooldown_s
        )
        splitters.waiting.append(number)
        self._agenda.after(assumptions.splitter_wake_s if asleep else 0.0, self._split_next)

    def _split_next(self) -> None:
        splitters = self._splitters
        if splitters.waiting and splitters.busy < splitters.slots:
            splitters.busy += 1
            self._split(splitters.waiting.popleft())

    def _split(self, number: int) -> None:
        """Decode a video's next chunk unless too many of its chunks are outstanding."""
        job, assumptions, splitters = self._jobs[number], self._assumptions, self._splitters
        if job.sent - job.painted >= assumptions.outstanding:
            job.held = True
            splitters.held += 1
            return
        frames = job.video.frames_of(job.sent)
        crowded = max(1.0, (splitters.busy - splitters.held) / assumptions.split_cores)
        self._agenda.after(
            frames * crowded / assumptions.split_speed, lambda: self._send(number, frames)
        )

    def _send(self, number: int, frames: int) -> None:
        job = self._jobs[number]
        self._pool.put(Chunk(number, job.sent, frames, self._agenda.now_s))
        job.sent += 1
        if job.sent < job.video.chunks:
            self._split(number)
            return
        self._oldest_upload_s = max(self._oldest_upload_s, self._agenda.now_s - job.video.arrives_s)
        self._splitters.busy -= 1
        self._splitters.idle_since_s = self._agenda.now_s
        self._split_next()

    def _painted(self, chunk: Chunk) -> None:
        self._watch(chunk)
        self._oldest_chunk_s = max(self._oldest_chunk_s, self._agenda.now_s - chunk.sent_s)
        job = self._jobs[chunk.video]
        job.painted += 1
        if job.held:
            job.held = False
            self._splitters.held -= 1
            self._split(chunk.video)
        if job.painted == job.video.chunks:
            assumptions = self._assumptions
            conclude_s = assumptions.conclude_s + job.video.frames / assumptions.mux_speed
            self._agenda.after(conclude_s, lambda: self._publish(job))

    def _publish(self, job: _Job) -> None:
        self._latencies_s.append(self._agenda.now_s - job.video.arrives_s)
