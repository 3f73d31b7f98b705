"""Checks whether a GPU's codecs work here, on a few pictures and with the code that will use them.

A check returns the fault, which completes a sentence that begins with the setting's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Final

import av
import av.error
import av.logging
import numpy as np

from shared.contracts.errors import ChunkError
from shared.contracts.style_request import StyleRequest
from shared.media.chunks import ChunkWriter, open_chunk, read_chunk
from shared.media.containers import complaint
from shared.media.encodings import MEZZANINE, Encoding, nvenc_segment_encoding
from shared.media.nvidia import NVENC_TURNS

_WIDTH, _HEIGHT = 320, 184  # not of whole macroblocks: what is coded has to be cropped
_PATCH: Final = 8
_TICK: Final = Fraction(1, 90_000)
_FEW, _MANY = 1, 5
_LEAST_DB: Final = 30.0
_REMEDY: Final = "it needs NVIDIA's driver, in containers with its capability 'video'"


def find_nvenc_fault() -> str | None:
    """Return why NVENC cannot encode the segments of jobs, or None if it can."""
    encoding = nvenc_segment_encoding(StyleRequest(style="none"), _WIDTH, _HEIGHT)
    assert encoding is not None
    with NVENC_TURNS:
        return find_encoder_fault(encoding)


def find_encoder_fault(encoding: Encoding) -> str | None:
    """Return why an encoder does not write segments that can be joined, or None if it does.

    Two files of different lengths must hold one GOP each, every picture at its time, and the same
    parameter sets.
    """
    try:
        with _listening():
            files = [_encoded(encoding, count) for count in (_FEW, _MANY)]
        groups = [[key for _, key in _packets(file)] for file in files]
        shown = [list(read_chunk(file)) for file in files]
    except (av.error.FFmpegError, ChunkError, ValueError) as error:
        return f"{encoding.encoder} does not encode a test picture ({_cause(error)}); {_REMEDY}"
    if groups != [[True], [True] + [False] * (_MANY - 1)]:
        return f"{encoding.encoder} does not write one group of pictures per segment"
    if [[frame.pts for frame in frames] for frames in shown] != [_times(_FEW), _times(_MANY)]:
        return f"{encoding.encoder} does not preserve frames and their timestamps"
    if parameter_sets(files[0]) != parameter_sets(files[1]):
        return f"{encoding.encoder} gives segments different parameter sets"
    if (nearest := min(map(_decibels, _pictures(_MANY), shown[1]))) < _LEAST_DB:
        return f"{encoding.encoder} reproduces test pictures to only {nearest:.0f} dB"
    return None


def find_nvdec_fault() -> str | None:
    """Return why NVDEC cannot decode chunks as the CPU does, or None if it can."""
    chunk = _encoded(MEZZANINE, _MANY)
    try:
        with _listening():
            pairs = zip(read_chunk(chunk, decoder="cuda"), read_chunk(chunk), strict=True)
            same = all(
                one.pts == other.pts and np.array_equal(one.to_ndarray(), other.to_ndarray())
                for one, other in pairs
            )
    except (ChunkError, OSError, RuntimeError, ValueError) as error:
        return f"NVDEC does not decode a test chunk ({_cause(error)}); {_REMEDY}"
    return None if same else "NVDEC decodes a test chunk differently from the processor"


def parameter_sets(file: bytes) -> bytes:
    """Return a segment's parameter sets, which a decoder needs before the first picture."""
    with open_chunk(file) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


def _packets(file: bytes) -> Iterable[tuple[int, bool]]:
    with open_chunk(file) as container:
        return [(p.pts or 0, p.is_keyframe) for p in container.demux(video=0) if p.size]


def _encoded(encoding: Encoding, count: int) -> bytes:
    writer = ChunkWriter(encoding, width=_WIDTH, height=_HEIGHT, time_base=_TICK)
    for frame, pts in zip(_pictures(count), _times(count), strict=True):
        frame.pts = pts
        writer.write(frame)
    return writer.close(_times(count + 1)[-1])


def _times(count: int) -> list[int]:
    # Uneven, as in many videos.
    return [3003 * i + i % 2 for i in range(count)]


def _pictures(count: int) -> list[av.VideoFrame]:
    """Return patches of many colours that move sideways."""
    random = np.random.default_rng(0)
    rows, columns = _HEIGHT * 3 // 2 // _PATCH + 1, _WIDTH // _PATCH
    patches = random.integers(16, 236, (rows, columns), np.uint8)
    whole = patches.repeat(_PATCH, axis=0).repeat(_PATCH, axis=1)[: _HEIGHT * 3 // 2]
    return [
        av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(whole, 2 * i, axis=1)), "yuv420p")
        for i in range(count)
    ]


def _decibels(one: av.VideoFrame, other: av.VideoFrame) -> float:
    error = one.to_ndarray().astype(float) - other.to_ndarray()
    return float(10 * np.log10(255**2 / max(np.mean(error**2), 1e-9)))


@contextmanager
def _listening() -> Iterator[None]:
    """Have FFmpeg's errors name their cause, which is only in its log."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture():
            yield
    finally:
        av.logging.set_level(level)


def _cause(error: Exception) -> str:
    failure = error.__cause__ or error
    if not isinstance(failure, av.error.FFmpegError):
        return str(error)
    said = " ".join(str(failure.log[-1]).split()).rstrip(".") if failure.log else ""
    return f"{complaint(failure)}: {said}" if said else complaint(failure)
