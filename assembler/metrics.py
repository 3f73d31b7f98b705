"""What the assembler counts beside what every service does."""

from __future__ import annotations

from itertools import product
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.status import State
from shared.telemetry.metrics import WorkMetrics

# From a clip on a warm pool to hours of film behind a cold one.
_JOB_BUCKETS_S: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200)

AnnouncementOutcome = Literal["delivered", "refused", "put_off"]
"""What became of a try: the topic has the news, will never take it, or was away."""


class AssemblerMetrics(WorkMetrics):
    """An assembler's metrics: the jobs it follows, and what became of them."""

    _stages = ("mux", "verify", "publish")
    _job_outcomes = ("done", "degraded", "failed", "cancelled")

    def __init__(self, registry: CollectorRegistry, service: str = "assembler") -> None:
        super().__init__(registry, service)
        self._redriven = Counter(
            f"{service}_redriven_chunks_total",
            "Missing chunks sent to the stylizers again",
            registry=registry,
        )
        self._open = Gauge(f"{service}_open_jobs", "Jobs followed", registry=registry)
        self._oldest = Gauge(
            f"{service}_oldest_job_age_seconds",
            "Age of the oldest job followed; 0 when there is none",
            registry=registry,
        )
        self._stalled = Gauge(
            f"{service}_stalled_jobs", "Jobs followed that make no progress", registry=registry
        )
        self._video = Counter(
            f"{service}_video_seconds_total",
            "Playing time of the results published",
            registry=registry,
        )
        self._wall = Histogram(
            f"{service}_job_seconds",
            "Time from the start of a job to its published result",
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self._announcements = Counter(
            f"{service}_announcements_total",
            "Tries to tell the topic how a job ended, by the job's state and what became of them",
            ["state", "outcome"],
            registry=registry,
        )
        for state, outcome in product(self._job_outcomes, get_args(AnnouncementOutcome)):
            self._announcements.labels(state, outcome)

    def redriven(self, chunks: int) -> None:
        """Count missing chunks that were sent again."""
        self._redriven.inc(chunks)

    def jobs(self, *, open: int, oldest_age_s: float, stalled: int) -> None:  # noqa: A002 - the word
        """Set what is known of the jobs followed."""
        self._open.set(open)
        self._oldest.set(oldest_age_s)
        self._stalled.set(stalled)

    def published(self, frames: int, video_seconds: float, wall_seconds: float) -> None:
        """Count a published result: its frames, its playing time, and how long its job took."""
        self._frames.inc(frames)
        self._video.inc(video_seconds)
        self._wall.observe(wall_seconds)

    def announcement(self, state: State, outcome: AnnouncementOutcome) -> None:
        """Count a try to announce a job that ended in ``state``."""
        self._announcements.labels(state=state, outcome=outcome).inc()
