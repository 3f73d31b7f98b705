"""Prometheus metrics that every service has; each service adds its own in its ``metrics.py``.

Names, help texts and buckets are defined in these modules alone: all other code calls typed
methods. Labels are bounded by design: a hub, a partition, a stage, a known code, never a job or a
blob.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from shared.contracts.codes import FAILURE_CODES, OTHER, fault
from shared.tasks.rounds import Errand
from shared.telemetry import tracing
from shared.telemetry.version import version

BUILD_INFO: Final = "stylestream_build_info"

STAGE_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


def process_registry() -> CollectorRegistry:
    """Return a registry with metrics of this process: CPU, memory, files, garbage collection."""
    # Prometheus notices a restart by itself: a creation time for each series would be a burden.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def announce_build(registry: CollectorRegistry, service: str) -> None:
    """Export which service runs, and its version."""
    Gauge(
        BUILD_INFO,
        "Always 1; the labels say what runs",
        ["service", "version"],
        registry=registry,
    ).labels(service=service, version=version()).set(1)


def dependency_gauge(registry: CollectorRegistry, service: str) -> Gauge:
    """Return the gauge that says, by dependency, whether it answers."""
    return Gauge(
        f"{service}_dependency_up",
        "Whether a dependency answered when it was last asked",
        ["dependency"],
        registry=registry,
    )


class ConsumerMetrics:
    """Counts the reading of one hub."""

    def __init__(
        self,
        registry: CollectorRegistry,
        service: str,
        hub: str,
        background_failed: Callable[[Errand], None],
    ) -> None:
        labels = {"hub": hub}
        self.background_failed = background_failed
        self._received = Counter(
            f"{service}_events_received_total", "Events received", ["hub"], registry=registry
        ).labels(**labels)
        self._errors = Counter(
            f"{service}_eventhub_errors_total",
            "Errors of the connection to Event Hubs, each retried",
            ["hub"],
            registry=registry,
        ).labels(**labels)
        self._checkpoints = Histogram(
            f"{service}_checkpoint_seconds",
            "Time to write a checkpoint",
            ["hub"],
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        ).labels(**labels)
        self._checkpoint_failures = Counter(
            f"{service}_checkpoint_failures_total",
            "Checkpoints that could not be written, each retried",
            ["hub"],
            registry=registry,
        ).labels(**labels)
        self._lag = Gauge(
            f"{service}_lag_events",
            "Events enqueued and not yet checkpointed, by owned partition",
            ["hub", "partition"],
            registry=registry,
        )
        self._rebuilds = Counter(
            f"{service}_consumer_rebuilds_total",
            "Clients closed and reopened because they had stopped delivering",
            ["hub"],
            registry=registry,
        ).labels(**labels)
        self._last_callback = Gauge(
            f"{service}_last_callback_timestamp_seconds",
            "When the SDK last delivered events, or reported that there were none",
            ["hub"],
            registry=registry,
        ).labels(**labels)
        self._owned = Gauge(
            f"{service}_owned_partitions", "Partitions owned", ["hub"], registry=registry
        ).labels(**labels)
        self._hub = hub

    def received(self) -> None:
        """Count an event taken up."""
        self._received.inc()

    def error(self) -> None:
        """Count an error of the connection."""
        self._errors.inc()

    def checkpointed(self, seconds: float) -> None:
        """Observe a checkpoint written."""
        self._checkpoints.observe(seconds)

    def checkpoint_failed(self) -> None:
        """Count a checkpoint that could not be written."""
        self._checkpoint_failures.inc()

    def lag(self, partition: str, events: int) -> None:
        """Set an owned partition's lag."""
        self._lag.labels(hub=self._hub, partition=partition).set(events)

    def released(self, partition: str) -> None:
        """Forget a partition that another consumer may own now."""
        self._lag.remove(self._hub, partition)

    def owned(self, count: int) -> None:
        """Set the number of partitions owned."""
        self._owned.set(count)

    def called_back(self) -> None:
        """Note that the SDK's receive loop is alive."""
        self._last_callback.set_to_current_time()

    def rebuilt(self) -> None:
        """Count a client that had stopped delivering and was replaced."""
        self._rebuilds.inc()


class ServiceMetrics:
    """Counts what any service does: stage times, retries, background work, dependencies.

    Every name begins with ``service``, since one Prometheus may hold all services' metrics. All
    counters start at 0: a time series that first appears with a failure never shows that failure as
    an increase.
    """

    _stages: tuple[str, ...] = ()

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        announce_build(registry, service)
        self._stage = Histogram(
            f"{service}_stage_seconds",
            "Time one unit of work spent in a stage",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        )
        self._retries = Counter(
            f"{service}_retries_total", "Units of work retried", registry=registry
        )
        self._dependency = dependency_gauge(registry, service)
        self._background = Counter(
            f"{service}_background_failures_total",
            "Rounds of background work that failed unexpectedly, by errand",
            ["errand"],
            registry=registry,
        )
        _begin(self._stage, self._stages)
        _begin(self._background, get_args(Errand))

    @contextmanager
    def timed(self, stage: str, **facts: str | int) -> Iterator[None]:
        """Observe the time that a chunk or job spends in a stage, unless it fails there.

        The stage is also a span of its trace (`shared.telemetry.tracing`), with ``facts``.
        """
        with tracing.span(stage, facts):
            started = time.perf_counter()
            yield
            self._stage.labels(stage=stage).observe(time.perf_counter() - started)

    def retried(self) -> None:
        """Count a unit of work that is retried."""
        self._retries.inc()

    def background_failed(self, errand: Errand) -> None:
        """Count a round of background work that failed."""
        self._background.labels(errand=errand).inc()

    def dependency(self, name: str, up: bool) -> None:
        """Note whether a dependency, under a name fixed in the code, answered."""
        self._dependency.labels(dependency=name).set(up)


class WorkMetrics(ServiceMetrics):
    """Counts what a service does with the events of its hub: outcomes, and errors by code."""

    _frame_labels: tuple[str, ...] = ()
    _chunk_outcomes: tuple[str, ...] = ()
    _job_outcomes: tuple[str, ...] = ()

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        super().__init__(registry, service)
        self._registry = registry
        self._service = service
        self._frames = Counter(
            f"{service}_frames_total", "Frames finished", self._frame_labels, registry=registry
        )
        self._chunks = Counter(
            f"{service}_chunks_total", "Chunks by outcome", ["outcome"], registry=registry
        )
        self._jobs = Counter(
            f"{service}_jobs_total", "Jobs by outcome", ["outcome"], registry=registry
        )
        self._errors = Counter(
            f"{service}_errors_total",
            "Permanent failures by code, and by who is at fault",
            ["code", "fault"],
            registry=registry,
        )
        self._dead_letters = Counter(
            f"{service}_dead_letters_total",
            "Events moved to the dead letters, by the code of their cause",
            ["code"],
            registry=registry,
        )
        self._in_hand = Gauge(f"{service}_in_hand", "Units of work in progress", registry=registry)
        _begin(self._chunks, self._chunk_outcomes)
        _begin(self._jobs, self._job_outcomes)
        for code in (*FAILURE_CODES, OTHER):
            self._errors.labels(code, fault(code))
            self._dead_letters.labels(code)

    def reading(self, hub: str) -> ConsumerMetrics:
        """Return the metrics of the service's consumer of ``hub``."""
        return ConsumerMetrics(self._registry, self._service, hub, self.background_failed)

    def chunk(self, outcome: str) -> None:
        """Count a finished chunk."""
        self._chunks.labels(outcome=outcome).inc()

    def job(self, outcome: str) -> None:
        """Count a job that this service has finished with."""
        self._jobs.labels(outcome=outcome).inc()

    def failed(self, code: str) -> None:
        """Count a permanent failure; an unknown code counts as ``OTHER``."""
        known = _known(code)
        self._errors.labels(code=known, fault=fault(known)).inc()

    def dead_lettered(self, code: str) -> None:
        """Count an event that became a dead letter; ``code`` as in `failed`."""
        self._dead_letters.labels(code=_known(code)).inc()

    def in_hand(self, change: int) -> None:
        """Note units of work taken up (+) or finished (-)."""
        self._in_hand.inc(change)


def _begin(metric: Counter | Histogram, values: Iterable[str]) -> None:
    for value in values:
        metric.labels(value)


def _known(code: str) -> str:
    """Keep the label bounded: codes also come from events and from the decoder's process."""
    return code if code in FAILURE_CODES else OTHER
