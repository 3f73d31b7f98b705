"""How fast the bare network is on this machine, called as the stylizer calls it."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.service.settings import load
from stylizer.attempts.segments import open_engine, settle
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.frames import Frames
from stylizer.painting.precision import EngineSetting
from stylizer.settings import PaintingSettings, with_engine

_ROUNDS: Final = 5
_CALLS_A_ROUND: Final = 60


@dataclass(frozen=True, slots=True)
class NetworkSpeed:
    """The bare network on this machine, what it runs on, and what it computes in."""

    frames_per_second: float
    device: str
    precision: str


def measure(
    style: str, width: int, height: int, lanes: int, engine: EngineSetting | None = None
) -> NetworkSpeed:
    """Return the median over rounds of frames/s of ``lanes`` callers on one engine.

    ``engine`` goes before what the environment says.
    """
    settings = settle(with_engine(load(PaintingSettings), engine))
    opened = open_engine(settings)
    opened.load(style)
    noise = np.random.default_rng(0)
    frames = opened.layout.batch(1, width, height)
    frames[:] = noise.integers(0, 256, frames.shape, np.uint8)
    with ThreadPoolExecutor(lanes) as callers:
        _round(opened, style, frames, callers)
        speed = statistics.median(_round(opened, style, frames, callers) for _ in range(_ROUNDS))
    return NetworkSpeed(speed, settings.engine, opened.precision)


def _round(engine: OnnxEngine, style: str, frames: Frames, callers: ThreadPoolExecutor) -> float:
    started = time.perf_counter()
    list(callers.map(lambda _: engine.paint(style, frames), range(_CALLS_A_ROUND)))
    return _CALLS_A_ROUND / (time.perf_counter() - started)
