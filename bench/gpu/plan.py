"""What is measured, at which sizes, and within what time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Engine = Literal["cpu", "cuda", "tensorrt"]
ENGINES: Final[tuple[Engine, ...]] = ("cuda", "tensorrt")
"""What can be checked."""

LIMITS_S: Final[Mapping[str, float]] = {
    "facts": 60,
    "starts": 90,
    "faults": 90,
    "codecs": 90,
    "path": 120,
    "stack": 150,
    "engine": 240,
}
"""The steps in their order, and the seconds that each may take, so that others have some left."""

Size = tuple[int, int]
"""Width and height."""

Precision = Literal["fp32", "fp16"]


class SkippedError(Exception):
    """A step cannot run here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the check. Times are in seconds."""

    engine: Engine
    sizes: tuple[Size, ...]
    precisions: tuple[Precision, ...]
    batches: tuple[int, ...]
    lanes: tuple[int, ...]
    measure_s: float
    """Seconds for one figure; at least one call is made."""
    stack_size: Size
    stack_frames: int
    style: str


FULL = Plan(
    engine="cuda",
    sizes=((640, 360), (1920, 1080), (3840, 2160)),
    precisions=("fp16", "fp32"),
    batches=(1, 2, 4, 8, 16),
    lanes=(1, 2),
    measure_s=0.5,
    stack_size=(1920, 1080),
    stack_frames=1800,
    style="starry-night",
)

REHEARSAL = Plan(
    engine="cpu",
    sizes=((64, 48), (128, 72)),
    precisions=("fp32",),
    batches=(1, 2),
    lanes=(1, 2),
    measure_s=0.0,
    stack_size=(128, 72),
    stack_frames=24,
    style="starry-night",
)


class Clock:
    """The time left of a limit in seconds."""

    def __init__(self, box_s: float) -> None:
        self._end = time.monotonic() + box_s

    def left(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())
