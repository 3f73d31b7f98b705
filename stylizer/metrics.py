"""What the stylizer counts beside what every service does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.telemetry.metrics import WorkMetrics
from stylizer.painting.gpu import watch_gpus

Attempt = Literal["in_process", "isolated"]

_BLEND: Final = "blend"
_OTHER: Final = "other"
# A user's gallery may be of any size; the time series of its styles may not.
_STYLES_TOLD_APART: Final = 64


class StylizerMetrics(WorkMetrics):
    """A stylizer's metrics: frames by style, how chunks were tried, and what the GPU does."""

    _frame_labels = ("style",)
    _stages = ("download", "paint", "upload", "announce")
    _chunk_outcomes = ("stylized", "duplicate", "obsolete", "failed")

    def __init__(self, registry: CollectorRegistry, service: str = "stylizer") -> None:
        super().__init__(registry, service)
        self._attempts = Counter(
            f"{service}_attempts_total",
            "Tries to paint a chunk, in the service's process or isolated in one of their own",
            ["kind"],
            registry=registry,
        )
        for kind in get_args(Attempt):
            self._attempts.labels(kind)
        self._passed_through = Counter(
            f"{service}_passed_through_total",
            "Chunks whose original frames took the place of painted ones",
            registry=registry,
        )
        self._device = Gauge(
            f"{service}_device_info",
            "Always 1; the label says what the network runs on",
            ["device"],
            registry=registry,
        )
        self._precision = Gauge(
            f"{service}_precision_info",
            "Always 1; the label says what the network computes in",
            ["precision"],
            registry=registry,
        )
        self._styles: set[str] = set()

    def runs_on(self, device: str, precision: str) -> None:
        """Tell the engine's device and precision; a GPU's use is measured from now on."""
        self._device.labels(device=device).set(1)
        self._precision.labels(precision=precision).set(1)
        if device != "cpu":
            watch_gpus(self._registry, self._service)

    def offers(self, styles: Iterable[str]) -> None:
        """Begin to count the styles of a gallery, before the first frame in one of them."""
        for style in styles:
            self.painted(style, 0)

    def chunk(self, outcome: str, frames: int = 0) -> None:  # noqa: ARG002 - told by `painted`
        """Count a finished chunk; its frames are counted by `painted`, with their style."""
        super().chunk(outcome)

    def painted(self, style: str, frames: int) -> None:
        """Count frames painted in a style that the gallery has, or in a blend of several."""
        self._frames.labels(style=self._told_apart(style)).inc(frames)

    def attempt(self, kind: Attempt) -> None:
        """Count a try to paint a chunk."""
        self._attempts.labels(kind=kind).inc()

    def passed_through(self) -> None:
        """Count a chunk that could not be painted and goes on as it came."""
        self._passed_through.inc()

    def _told_apart(self, style: str) -> str:
        if ":" in style or "," in style:
            return _BLEND
        if style not in self._styles and len(self._styles) == _STYLES_TOLD_APART:
            return _OTHER
        self._styles.add(style)
        return style
