"""How fast the bare network is on this machine, called as the stylizer calls it."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.service.settings import load
from stylizer.attempts.segments import open_engine
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.sessions import Frames
from stylizer.settings import PaintingSettings

_ROUNDS: Final = 5
_CALLS_A_ROUND: Final = 60


@dataclass(frozen=True, slots=True)
class NetworkSpeed:
    """The bare network on this machine, and what it computes in."""

    frames_per_second: float
    precision: str


def measure(style: str, width: int, height: int, lanes: int) -> NetworkSpeed:
    """Return the median over rounds of frames/s of ``lanes`` callers on one engine."""
    engine = open_engine(load(PaintingSettings))
    engine.load(style)
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 256, (1, 3, height, width), np.uint8)
    with ThreadPoolExecutor(lanes) as callers:
        _round(engine, style, frames, callers)
        speed = statistics.median(_round(engine, style, frames, callers) for _ in range(_ROUNDS))
    return NetworkSpeed(speed, engine.precision)


def _round(engine: OnnxEngine, style: str, frames: Frames, callers: ThreadPoolExecutor) -> float:
    started = time.perf_counter()
    list(callers.map(lambda _: engine.paint(style, frames), range(_CALLS_A_ROUND)))
    return _CALLS_A_ROUND / (time.perf_counter() - started)
