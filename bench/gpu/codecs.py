"""The speed of codecs on the CPU and on the GPU, and whether they agree."""

from __future__ import annotations

import functools
import io
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.codec.hwaccel import HWAccel

from bench.clip import write_clip
from bench.gpu.machine import GpuWatch
from bench.gpu.plan import Clock, Plan, SkippedError
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, Decoder, read_chunk
from shared.media.encodings import MEZZANINE, SEGMENT, Encoding, nvenc_segment_encoding
from shared.media.nvidia import NVDEC_SIZES
from shared.media.probes import find_nvdec_fault, find_nvenc_fault, parameter_sets

Row = dict[str, Any]

_FRAMES: Final = 32
"""As many as a normal chunk has."""
_THREADS: Final = (1, 4)
_SESSIONS: Final = (1, 4, 8)
"""Consumers' GPUs refuse more than eight encoders at once."""
_TICK: Final = Fraction(1, 30)


def codec_rows(plan: Plan, clock: Clock) -> Iterator[Row]:
    """Say whether the GPU's codecs work, then measure all at the plan's size."""
    frames = _frames(plan)
    chunk = _encoded(MEZZANINE, frames)
    for what, fault in _faults(plan, chunk, frames):
        yield {"codec": what, "verdict": fault or "right"}
    for what, call, threads in _calls(plan, chunk, frames):
        if not clock.left():
            raise SkippedError(f"no time was left for {what!r}")
        yield _measured(what, call, threads, plan.measure_s)


def _calls(
    plan: Plan, chunk: bytes, frames: Sequence[av.VideoFrame]
) -> Iterator[tuple[str, Callable[[], object], int]]:
    decode = functools.partial(_decode, chunk)
    yield "decoding, processor", functools.partial(decode, "cpu"), 1
    if NVDEC_SIZES.takes(*plan.stack_size) and find_nvdec_fault() is None:
        for threads in _THREADS:
            yield "decoding, NVDEC", functools.partial(decode, "cuda"), threads
        yield "decoding, NVDEC in a context for each chunk", lambda: _decode_apart(chunk), 1
    yield "encoding, x264", functools.partial(_encoded, SEGMENT, frames), 1
    nvenc = _nvenc(plan)
    if nvenc is not None and find_nvenc_fault() is None:
        for threads in _SESSIONS:
            yield "encoding, NVENC", functools.partial(_encoded, nvenc, frames), threads


def _faults(
    plan: Plan, chunk: bytes, frames: Sequence[av.VideoFrame]
) -> Iterator[tuple[str, str | None]]:
    """Yield the faults of the GPU's codecs, on test pictures and on frames of the plan's size."""
    for what, find in (
        ("NVDEC", functools.partial(_nvdec_fault, plan, chunk)),
        ("NVENC", functools.partial(_nvenc_fault, plan, frames)),
    ):
        try:
            yield what, find()
        except Exception as error:  # a codec that fails at this size is a result as well
            yield what, f"{type(error).__name__}: {error}"


def _nvdec_fault(plan: Plan, chunk: bytes) -> str | None:
    fault = find_nvdec_fault()
    if fault or not NVDEC_SIZES.takes(*plan.stack_size):
        return fault
    return _difference(chunk)


def _nvenc_fault(plan: Plan, frames: Sequence[av.VideoFrame]) -> str | None:
    fault, nvenc = find_nvenc_fault(), _nvenc(plan)
    if fault or nvenc is None:
        return fault
    short, long = (_encoded(nvenc, some) for some in (frames[:3], frames))
    same = parameter_sets(short) == parameter_sets(long)
    return None if same else "two segments have different parameter sets"


def _difference(chunk: bytes) -> str | None:
    pairs = zip(read_chunk(chunk, decoder="cuda"), read_chunk(chunk), strict=True)
    for number, (one, other) in enumerate(pairs):
        if not np.array_equal(one.to_ndarray(), other.to_ndarray()):
            return f"frame {number} is not the processor's"
    return None


def _nvenc(plan: Plan) -> Encoding | None:
    return nvenc_segment_encoding(StyleRequest(style=plan.style), *plan.stack_size)


def _decode(chunk: bytes, decoder: Decoder) -> None:
    for _ in read_chunk(chunk, frames=_FRAMES, decoder=decoder):
        pass


def _decode_apart(chunk: bytes) -> None:
    hwaccel = HWAccel("cuda", allow_software_fallback=False)
    with av.open(io.BytesIO(chunk), "r", hwaccel=hwaccel) as container:
        for frame in container.decode(video=0):
            frame.reformat(format="yuv420p")


def _encoded(encoding: Encoding, frames: Sequence[av.VideoFrame]) -> bytes:
    width, height = frames[0].width, frames[0].height
    writer = ChunkWriter(encoding, width=width, height=height, time_base=_TICK)
    for number, frame in enumerate(frames):
        own = av.VideoFrame.from_ndarray(frame.to_ndarray(), "yuv420p")
        own.pts = number
        writer.write(own)
    return writer.close(len(frames))


def _frames(plan: Plan) -> list[av.VideoFrame]:
    with tempfile.TemporaryDirectory(prefix="stylestream-") as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, _FRAMES, *plan.stack_size)
        with av.open(clip) as container:
            return [frame.reformat(format="yuv420p") for frame in container.decode(video=0)]


def _measured(what: str, call: Callable[[], object], threads: int, seconds: float) -> Row:
    """Call in ``threads`` threads for some time, without warming up; each call makes a chunk."""
    end = time.perf_counter() + seconds

    def repeat(_thread: int) -> int:
        calls = 0
        while not calls or time.perf_counter() < end:
            call()
            calls += 1
        return calls

    try:
        with GpuWatch() as gpu, ThreadPoolExecutor(threads) as pool:
            began, cpu = time.perf_counter(), time.process_time()
            frames = _FRAMES * sum(pool.map(repeat, range(threads)))
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
    except Exception as error:  # a codec that fails under load is a result as well
        return {"codec": what, "threads": threads, "verdict": f"{type(error).__name__}: {error}"}
    return {
        "codec": what,
        "threads": threads,
        "frames_per_second": round(frames / took, 1),
        "cpu_ms_per_frame": round(1000 * cpu / frames, 2),
        "gpu_memory_mib": gpu.memory_mib,
    }
