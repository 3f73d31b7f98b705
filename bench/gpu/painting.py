"""Whether the engine starts and paints correctly, its speed, and that of whole chunks."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.clip import write_clip
from bench.gpu.machine import GpuWatch
from bench.gpu.plan import Clock, Plan, Precision, Size, SkippedError
from shared.contracts.errors import ConfigurationError
from shared.contracts.manifest import Source
from shared.contracts.messages import ChunkReady
from shared.contracts.style_request import StyleRequest
from shared.service.settings import load
from shared.styles.gallery import Gallery
from splitter.media.chunking import EncodedChunk
from splitter.media.split import SplitOptions, split
from stylizer.attempts.segments import paint
from stylizer.attempts.worker_checks import is_out_of_memory
from stylizer.painting.engine import OnnxEngine
from stylizer.painting.precision import choose
from stylizer.settings import PaintingSettings, with_engine

Row = dict[str, Any]
"""A row of a table: the names of figures, and the figures."""

_CHUNK_FRAMES = 56
"""This many frames give chunks of 8, 16 and 32; the last is measured."""

_GREED = (
    "from shared.styles.gallery import Gallery\n"
    "from stylizer.painting.engine import OnnxEngine\n"
    "engine = OnnxEngine(Gallery(), {engine!r}, 256, {precision!r})\n"
    "engine.paint({style!r}, engine.layout.batch({batch}, {width}, {height}))\n"
)
_REFUSAL = (
    "from shared.styles.gallery import Gallery\n"
    "from stylizer.painting.precision import choose\n"
    "choose({engine!r}, 'auto', Gallery(), {style!r})\n"
)


def starts(plan: Plan, _clock: Clock) -> Iterator[Row]:
    """Start the engine in each precision, and check it like a stylizer."""
    for precision in plan.precisions:
        began = time.perf_counter()
        try:
            choose(plan.engine, precision, Gallery(), plan.style)
            verdict = "right"
        except ConfigurationError as error:
            verdict = "; ".join(error.problems)
        yield {
            "precision": precision,
            "verdict": verdict,
            "seconds": round(time.perf_counter() - began, 2),
        }


def engine_speed(plan: Plan, clock: Clock) -> Iterator[Row]:
    """Measure the bare engine at every size, precision, batch and number of lanes."""
    for precision in plan.precisions:
        engine = _engine(plan, precision)
        for width, height in plan.sizes:
            for batch in plan.batches:
                frames = engine.layout.batch(batch, width, height)
                frames[:] = np.random.default_rng(0).integers(0, 256, frames.shape, np.uint8)
                call = functools.partial(engine.paint, plan.style, frames)
                for lanes in plan.lanes:
                    if not clock.left():
                        return
                    yield {
                        **_described((width, height), precision, lanes),
                        "batch": batch,
                        **_measured(call, lanes, batch, plan.measure_s),
                    }


def path_speed(plan: Plan, clock: Clock) -> Iterator[Row]:
    """Measure whole chunks: decoding, painting and encoding, without hubs and storage."""
    precision = plan.precisions[0]
    engine = _engine(plan, precision)
    settings = with_engine(load(PaintingSettings), plan.engine)
    for width, height in plan.sizes:
        event, mezzanine = _chunk((width, height), plan.style)
        batch = settings.batch_size(width, height)
        call = functools.partial(paint, engine, event, mezzanine, batch=batch)
        for lanes in dict.fromkeys((*plan.lanes, settings.lane_count)):
            if not clock.left():
                return
            yield {
                **_described((width, height), precision, lanes),
                "batch": batch,
                **_measured(call, lanes, event.chunk.frames, plan.measure_s),
            }


def faults(plan: Plan, clock: Clock) -> Iterator[Row]:
    """Take away the GPU, then its memory, and check whether the stylizer would notice."""
    engine = "cuda" if plan.engine == "cpu" else plan.engine
    hidden = _run(clock, _REFUSAL.format(engine=engine, style=plan.style), CUDA_VISIBLE_DEVICES="")
    refused = hidden.returncode != 0 and "ConfigurationError" in hidden.stderr
    yield {"fault": "the card is hidden", "noticed": refused, "said": _last_line(hidden.stderr)}
    if plan.engine == "cpu":
        raise SkippedError("out of memory: a GPU's memory is needed to use it up")
    # In a process of its own, because a memory pool is created once for each process.
    (width, height), batch = plan.sizes[-1], plan.batches[-1]
    names = {"engine": engine, "precision": plan.precisions[0], "style": plan.style}
    used_up = _run(clock, _GREED.format(**names, batch=batch, width=width, height=height))
    yield {
        "fault": "out of memory",
        "noticed": is_out_of_memory(used_up.stderr),
        "said": _last_line(used_up.stderr),
    }


def _run(clock: Clock, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program, for half of the time left; at its end it is killed."""
    command = [sys.executable, "-P", "-c", program]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    limit = clock.left() / 2
    try:
        return subprocess.run(
            command, env=given, capture_output=True, text=True, check=False, timeout=limit
        )
    except subprocess.TimeoutExpired:
        said = f"it did not end within {limit:.0f} s, and was killed"
        return subprocess.CompletedProcess(command, -signal.SIGKILL, "", said)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _engine(plan: Plan, precision: Precision) -> OnnxEngine:
    """Return an engine that has painted.

    Raises:
        ConfigurationError: it does not start, at any size.
    """
    engine = OnnxEngine(Gallery(), plan.engine, None, precision)
    blank = engine.layout.batch(1, 64, 64)
    blank[:] = 0
    engine.paint(plan.style, blank)
    return engine


def _described(size: Size, precision: Precision, lanes: int) -> Row:
    return {"size": f"{size[0]}x{size[1]}", "precision": precision, "lanes": lanes}


def _measured(call: Callable[[], object], lanes: int, frames: int, seconds: float) -> Row:
    """Call in ``lanes`` threads for some time, after a warm-up; each call paints ``frames``."""
    try:
        call()
    except Exception as error:  # a size that does not fit is a result as well
        return {"problem": f"{type(error).__name__}: {error}"[:200]}
    end = time.perf_counter() + seconds

    def repeat(_lane: int) -> int:
        calls = 0
        while not calls or time.perf_counter() < end:
            call()
            calls += 1
        return calls

    with GpuWatch() as gpu, ThreadPoolExecutor(lanes) as threads:
        began, cpu = time.perf_counter(), time.process_time()
        painted = frames * sum(threads.map(repeat, range(lanes)))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "frames_per_second": round(painted / took, 2),
        "cpu_ms_per_frame": round(1000 * cpu / painted, 2),
        "gpu_use": gpu.use,
        "gpu_memory_mib": gpu.memory_mib,
    }


def _chunk(size: Size, style: str) -> tuple[ChunkReady, bytes]:
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, _CHUNK_FRAMES, *size)
        with clip.open("rb") as file:
            source, *parts = split(file, SplitOptions(), Path(folder) / "side")
    assert isinstance(source, Source)
    largest = [part for part in parts if isinstance(part, EncodedChunk)][-1]
    event = ChunkReady.of("check-gpu", source, StyleRequest(style=style), largest.chunk)
    return event, largest.data
