"""The splitter's own metrics, beyond those of every service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.telemetry.metrics import STAGE_BUCKETS_S, WorkMetrics
from splitter.protection import LAYERS, Layer

DeliveryOutcome = Literal["delivered", "refused", "unauthorised", "put_off"]
"""What the webhook answered: accepted, rejected for good, unauthorised, try again later."""


class SplitterMetrics(WorkMetrics):
    """A splitter's metrics: how far it is ahead of the stylizers, and how long it waits."""

    _stages = ("split", "ship")
    _chunk_outcomes = ("split",)
    _job_outcomes = ("split", "failed", "over")

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "splitter")
        self._paced = Histogram(
            "splitter_paced_seconds",
            "Time that a split waited until fewer chunks were outstanding",
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        )
        self._outstanding = Gauge(
            "splitter_outstanding_chunks",
            "Chunks shipped and not yet painted, of the splits in progress",
            registry=registry,
        )
        self._over_budget = Gauge(
            "splitter_over_budget_videos",
            "Videos in hand that wait because their uploader is over budget",
            registry=registry,
        )
        self._deliveries = Counter(
            "splitter_webhook_deliveries_total",
            "Event Grid deliveries over HTTP, by response",
            ["outcome"],
            registry=registry,
        )
        for outcome in get_args(DeliveryOutcome):
            self._deliveries.labels(outcome)
        self._layers = Gauge(
            "splitter_sandbox_layers",
            "Whether a layer of the decoders' sandbox is active on this machine",
            ["layer"],
            registry=registry,
        )
        for layer in LAYERS:
            self._layers.labels(layer)

    def shipped(self, frames: int) -> None:
        """Count a chunk that was stored and announced, and its frames."""
        self.chunk("split")
        self._frames.inc(frames)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Observe a wait for outstanding chunks, however short."""
        started = time.perf_counter()
        yield
        self._paced.observe(time.perf_counter() - started)

    def outstanding(self, change: int) -> None:
        """Count chunks shipped (positive), or painted or abandoned with their split (negative)."""
        self._outstanding.inc(change)

    def over_budget(self) -> AbstractContextManager[None]:
        """Count a video as waiting for its uploader's budget, however the wait ends."""
        return self._over_budget.track_inprogress()

    def sandbox(self, layers: frozenset[Layer]) -> None:
        """Record which layers of the decoders' sandbox are in force."""
        for layer in LAYERS:
            self._layers.labels(layer).set(layer in layers)

    def delivery(self, outcome: DeliveryOutcome) -> None:
        """Count a delivery that the webhook answered."""
        self._deliveries.labels(outcome=outcome).inc()
