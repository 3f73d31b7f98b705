"""The stylizer's metrics, beyond those of every service."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.telemetry.metrics import WorkMetrics
from stylizer.painting.gpu import watch_gpus

Attempt = Literal["in_process", "isolated"]

_BLEND: Final = "blend"
_OTHER: Final = "other"
# A gallery may hold any number of styles; the number of time series has to stay bounded.
_MAX_STYLE_LABELS: Final = 64


class StylizerMetrics(WorkMetrics):
    """A stylizer's metrics: frames by style, how chunks were tried, and what the GPU does."""

    _frame_labels = ("style",)
    _stages = ("download", "paint", "upload", "announce")
    _chunk_outcomes = ("stylized", "duplicate", "obsolete", "failed")

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "stylizer")
        self._attempts = Counter(
            "stylizer_attempts_total",
            "Attempts at painting a chunk, in the service's process or isolated in one of "
            "their own",
            ["kind"],
            registry=registry,
        )
        for kind in get_args(Attempt):
            self._attempts.labels(kind)
        self._passed_through = Counter(
            "stylizer_passed_through_total",
            "Chunks whose original frames replaced painted ones",
            registry=registry,
        )
        self._device = Gauge(
            "stylizer_device_info",
            "Always 1; the label says what the network runs on",
            ["device"],
            registry=registry,
        )
        self._precision = Gauge(
            "stylizer_precision_info",
            "Always 1; the label says what the network computes in",
            ["precision"],
            registry=registry,
        )
        self._styles: set[str] = set()

    def runs_on(self, device: str, precision: str) -> None:
        """Record the engine's device and precision; on a GPU, start reporting its metrics."""
        self._device.labels(device=device).set(1)
        self._precision.labels(precision=precision).set(1)
        if device != "cpu":
            watch_gpus(self._registry, self._service)

    def offers(self, styles: Iterable[str]) -> None:
        """Start the counters of a gallery's styles at zero, before any frame is painted."""
        for style in styles:
            self.painted(style, 0)

    def painted(self, style: str, frames: int) -> None:
        """Count frames painted in one of the gallery's styles, or in a blend of several."""
        self._frames.labels(style=self._style_label(style)).inc(frames)

    def attempt(self, kind: Attempt) -> None:
        """Count an attempt to paint a chunk."""
        self._attempts.labels(kind=kind).inc()

    def passed_through(self) -> None:
        """Count a chunk that could not be painted and keeps its original frames."""
        self._passed_through.inc()

    def _style_label(self, style: str) -> str:
        if ":" in style or "," in style:
            return _BLEND
        if style not in self._styles and len(self._styles) == _MAX_STYLE_LABELS:
            return _OTHER
        self._styles.add(style)
        return style
