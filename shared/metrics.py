"""Prometheus metrics that every service has. Labels are bounded by design."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

STAGE_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


def process_registry() -> CollectorRegistry:
    """Return a registry that knows about this process: CPU, memory, files, garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class ConsumerMetrics:
    """Counts the reading of one hub."""

    def __init__(self, registry: CollectorRegistry, service: str, hub: str) -> None:
        labels = {"hub": hub}
        self._received = Counter(
            f"{service}_events_received_total", "Events taken up", ["hub"], registry=registry
        ).labels(**labels)
        self._errors = Counter(
            f"{service}_eventhub_errors_total",
            "Troubles of the connection to Event Hubs, each retried",
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
            "Checkpoints that could not be written, each tried again",
            ["hub"],
            registry=registry,
        ).labels(**labels)
        self._lag = Gauge(
            f"{service}_lag_events",
            "Events enqueued and not yet checkpointed, by owned partition",
            ["hub", "partition"],
            registry=registry,
        )
        self._hub = hub

    def received(self) -> None:
        """Count an event taken up."""
        self._received.inc()

    def error(self) -> None:
        """Count a trouble of the connection."""
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


class WorkMetrics:
    """Counts what a service does with its events: stage times, outcomes, errors by code."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self._registry = registry
        self._service = service
        self._stage = Histogram(
            f"{service}_stage_seconds",
            "Time one unit of work spent in a stage",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        )
        self._frames = Counter(f"{service}_frames_total", "Frames finished", registry=registry)
        self._chunks = Counter(
            f"{service}_chunks_total", "Chunks by outcome", ["outcome"], registry=registry
        )
        self._jobs = Counter(
            f"{service}_jobs_total", "Jobs by outcome", ["outcome"], registry=registry
        )
        self._errors = Counter(
            f"{service}_errors_total", "Permanent failures by code", ["code"], registry=registry
        )
        self._retries = Counter(
            f"{service}_retries_total", "Units of work tried again", registry=registry
        )
        self._in_hand = Gauge(f"{service}_in_hand", "Units of work in hand", registry=registry)

    def reading(self, hub: str) -> ConsumerMetrics:
        """Return the metrics of the service's consumer of ``hub``."""
        return ConsumerMetrics(self._registry, self._service, hub)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Observe the time that a chunk or job spends in a stage, if it gets through."""
        started = time.perf_counter()
        yield
        self._stage.labels(stage=stage).observe(time.perf_counter() - started)

    def chunk(self, outcome: str, frames: int = 0) -> None:
        """Count a finished chunk, and its frames."""
        self._chunks.labels(outcome=outcome).inc()
        self._frames.inc(frames)

    def job(self, outcome: str) -> None:
        """Count a job that this service is through with."""
        self._jobs.labels(outcome=outcome).inc()

    def failed(self, code: str) -> None:
        """Count a permanent failure."""
        self._errors.labels(code=code).inc()

    def retried(self) -> None:
        """Count a unit of work that is tried again."""
        self._retries.inc()

    def in_hand(self, change: int) -> None:
        """Note units of work taken up (+) or finished (-)."""
        self._in_hand.inc(change)
