"""How fast the bare network is on this machine, called as the stylizer calls it."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np

from local.defaults import gallery
from stylizer.painting.engine import Frames, OnnxEngine

_ROUNDS: Final = 5
_CALLS_A_ROUND: Final = 60


def frames_per_second(style: str, width: int, height: int, lanes: int) -> float:
    """Return the median over rounds of frames/s of ``lanes`` callers on one engine."""
    engine = OnnxEngine(gallery(), "cpu")
    engine.load(style)
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 256, (1, 3, height, width), np.uint8)
    with ThreadPoolExecutor(lanes) as callers:
        _round(engine, style, frames, callers)
        return statistics.median(_round(engine, style, frames, callers) for _ in range(_ROUNDS))


def _round(engine: OnnxEngine, style: str, frames: Frames, callers: ThreadPoolExecutor) -> float:
    started = time.perf_counter()
    list(callers.map(lambda _: engine.paint(style, frames), range(_CALLS_A_ROUND)))
    return _CALLS_A_ROUND / (time.perf_counter() - started)
