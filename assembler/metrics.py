"""The assembler's metrics, beyond those of every service."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import product
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.contracts.codes import OTHER
from shared.contracts.status import Cost, State
from shared.telemetry.metrics import WorkMetrics

# From a clip on a warm pool to hours of film behind a cold one.
_JOB_BUCKETS_S: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200)

_TENANTS: Final = 32
_LONGEST: Final = 63
# To Prometheus an empty label is the same as a missing one.
_NO_FOLDER: Final = "(none)"
_OTHERS: Final = "(others)"

_TRACK_CODES: Final = (
    "ASSEMBLY_POISONED",
    "CORRUPT_SIDE",
    "SIDE_MISSING",
    "TRACK_COUNT",
    "TRACK_DATA",
    "TRACK_TIME",
    OTHER,
)

AnnouncementOutcome = Literal["delivered", "refused", "put_off"]
"""The outcome of a try: the topic took the event, will never take it, or was unavailable."""


class Tenants:
    """Tells the tenants of uploads apart, by the first folder of their names.

    Anybody who may upload can make folders, so only the first `_TENANTS` get labels of their own.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def of(self, video_name: str) -> str:
        """Return the label of an upload's tenant."""
        folder, slash, _ = video_name.partition("/")
        if not slash:
            return _NO_FOLDER
        if folder in self._known:
            return folder
        if len(self._known) == _TENANTS or len(folder) > _LONGEST or not folder.isprintable():
            return _OTHERS
        self._known.add(folder)
        return folder


class AssemblerMetrics(WorkMetrics):
    """An assembler's metrics: the jobs that it follows, and their outcomes."""

    _stages = ("mux", "verify", "publish")
    _job_outcomes = ("done", "degraded", "failed", "cancelled")

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "assembler")
        self._redriven = Counter(
            "assembler_redriven_chunks_total",
            "Missing chunks sent to the stylizers again",
            registry=registry,
        )
        self._open = Gauge("assembler_open_jobs", "Jobs followed", registry=registry)
        self._oldest = Gauge(
            "assembler_oldest_job_age_seconds",
            "Age of the oldest job followed; 0 when there is none",
            registry=registry,
        )
        self._stalled = Gauge(
            "assembler_stalled_jobs", "Jobs followed that make no progress", registry=registry
        )
        self._leased = Gauge(
            "assembler_leased_records",
            "Jobs whose end waits because somebody holds a lease on their records",
            registry=registry,
        )
        self._video = Counter(
            "assembler_video_seconds_total",
            "Playing time of the results published",
            registry=registry,
        )
        self._tenants = Tenants()
        self._first_segment = Histogram(
            "assembler_first_segment_seconds",
            "Time from an upload to its first painted segment",
            ["tenant"],
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self._result = Histogram(
            "assembler_result_seconds",
            "Time from an upload to its published result",
            ["tenant"],
            buckets=_JOB_BUCKETS_S,
            registry=registry,
        )
        self._work = Counter(
            "assembler_work_seconds_total",
            "Painting and making the results of the jobs that ended",
            ["tenant", "on"],
            registry=registry,
        )
        self._announcements = Counter(
            "assembler_announcements_total",
            "Attempts to announce a job's end to the topic, by the job's state and the outcome",
            ["state", "outcome"],
            registry=registry,
        )
        self._lost_tracks = Counter(
            "assembler_lost_tracks_total",
            "Results published without some of their copied tracks, by the code of the cause",
            ["code"],
            registry=registry,
        )
        for code in _TRACK_CODES:
            self._lost_tracks.labels(code)
        for state, outcome in product(self._job_outcomes, get_args(AnnouncementOutcome)):
            self._announcements.labels(state, outcome)

    def redriven(self, chunks: int) -> None:
        """Count missing chunks that were sent again."""
        self._redriven.inc(chunks)

    def lost_tracks(self, code: str) -> None:
        """Count a result that lacks tracks, by cause; unlisted causes count as ``OTHER``."""
        self._lost_tracks.labels(code if code in _TRACK_CODES else OTHER).inc()

    def jobs(self, *, open: int, oldest_age_s: float, stalled: int) -> None:  # noqa: A002 - the word
        """Set the figures about the jobs followed."""
        self._open.set(open)
        self._oldest.set(oldest_age_s)
        self._stalled.set(stalled)

    def record_leased(self) -> AbstractContextManager[object]:
        """Count a job whose record is leased, for as long as the context lasts."""
        return self._leased.track_inprogress()

    def published(
        self, video_name: str, *, frames: int, video_seconds: float, wait_seconds: float
    ) -> None:
        """Count a result: its frames, its playing time, and the time since its upload."""
        self._frames.inc(frames)
        self._video.inc(video_seconds)
        self._result.labels(self._tenants.of(video_name)).observe(wait_seconds)

    def first_segment(self, video_name: str, wait_s: float) -> None:
        """Observe how long an upload waited for its first painted segment."""
        self._first_segment.labels(self._tenants.of(video_name)).observe(wait_s)

    def worked(self, video_name: str, cost: Cost) -> None:
        """Count the processor and GPU time of a job that ended."""
        tenant = self._tenants.of(video_name)
        self._work.labels(tenant, "cpu").inc(cost.cpu_s)
        self._work.labels(tenant, "gpu").inc(cost.gpu_s)

    def announcement(self, state: State, outcome: AnnouncementOutcome) -> None:
        """Count a try to announce a job that ended in ``state``."""
        self._announcements.labels(state=state, outcome=outcome).inc()
