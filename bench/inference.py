"""The speed of the bare network on this machine, called as the stylizer calls it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.service.settings import load
from stylizer.attempts.segments import open_engine, settle
from stylizer.painting.frames import Frames
from stylizer.painting.precision import EngineSetting, PrecisionSetting
from stylizer.settings import PaintingSettings, with_engine

Size = tuple[int, int]
"""Width and height."""

_ROUNDS: Final = 5
_PIXELS_A_ROUND: Final = 60 * 640 * 360


@dataclass(frozen=True, slots=True)
class NetworkSpeed:
    """The speed of the bare network, its device and its precision."""

    size: str
    frames_per_second: float
    cpu_ms_per_frame: float
    device: str
    precision: str


def measure(
    style: str,
    sizes: Iterable[Size],
    lanes: int,
    engine: EngineSetting | None = None,
    precision: PrecisionSetting | None = None,
) -> list[NetworkSpeed]:
    """Return, for each size, the speed with ``lanes`` callers of one engine: medians over rounds.

    ``engine`` and ``precision`` override the environment.
    """
    settings = with_engine(load(PaintingSettings), engine)
    if precision is not None:
        settings = settings.model_copy(update={"precision": precision})
    settings = settle(settings)
    opened = open_engine(settings)
    opened.load(style)
    noise = np.random.default_rng(0)
    speeds = []
    with ThreadPoolExecutor(lanes) as callers:
        for width, height in sizes:
            frames = opened.layout.batch(1, width, height)
            frames[:] = noise.integers(0, 256, frames.shape, np.uint8)
            calls = max(_PIXELS_A_ROUND // (width * height), lanes)

            def paint(frames: Frames = frames, calls: int = calls) -> None:
                list(callers.map(lambda _: opened.paint(style, frames), range(calls)))

            paint()
            rounds = [took(paint) for _ in range(_ROUNDS)]
            wall_s, cpu_s = (statistics.median(column) for column in zip(*rounds, strict=True))
            speeds.append(
                NetworkSpeed(
                    f"{width}x{height}",
                    calls / wall_s,
                    1000 * cpu_s / calls,
                    settings.engine,
                    opened.precision,
                )
            )
    return speeds


def took(call: Callable[[], None]) -> tuple[float, float]:
    """Return the wall time and the CPU time of a call, in seconds."""
    began, busy_s = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - began, time.process_time() - busy_s
