"""The studio's metrics."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.telemetry.metrics import ServiceMetrics

_ANSWERS: Final = ("2xx", "3xx", "4xx", "5xx")
_WAIT_BUCKETS_S: Final = (0.5, 1, 1.5, 2, 3, 5, 8, 13, 30, 60, 300)


class WebMetrics(ServiceMetrics):
    """A studio's metrics: viewers, what they fetch, and how long they wait for a first picture."""

    _stages = ("preview",)

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "web")
        self._viewers = Gauge("web_viewers", "Open pages", registry=registry)
        self._requests = Counter(
            "web_requests_total",
            "Requests by class of status code",
            ["answer"],
            registry=registry,
        )
        for answer in _ANSWERS:
            self._requests.labels(answer)
        self._segments = Counter(
            "web_segments_total",
            "Fragments of live pictures that were requested",
            registry=registry,
        )
        self._uploaded = Counter(
            "web_uploaded_bytes_total",
            "Bytes of uploads that passed through the studio",
            registry=registry,
        )
        self._first_picture = Histogram(
            "web_first_picture_seconds",
            "From a job's start to its first painted picture, for jobs that somebody watched",
            buckets=_WAIT_BUCKETS_S,
            registry=registry,
        )

    def viewers(self, change: int) -> None:
        """Note pages opened (+) or closed (-)."""
        self._viewers.inc(change)

    def answered(self, status: int) -> None:
        """Count an answer."""
        self._requests.labels(f"{status // 100}xx").inc()

    def segment(self) -> None:
        """Count a requested fragment."""
        self._segments.inc()

    def uploaded(self, size: int) -> None:
        """Count bytes of an upload."""
        self._uploaded.inc(size)

    def first_picture(self, seconds: float) -> None:
        """Observe how long a job took until its first painted picture."""
        self._first_picture.observe(seconds)
