"""Decides what networks run on and compute in: the fastest that the machine has and that is right.

Whatever is not ONNX Runtime in fp32 on the processor has to show that it paints the same picture,
on one frame, once, at the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import av
import numpy as np
import onnxruntime as ort
import structlog

from shared.contracts.errors import ConfigurationError, StyleError
from shared.media.pixels import from_planar_rgb
from shared.styles.gallery import Gallery, Precision
from stylizer.painting import bfloat16
from stylizer.painting.frames import Frames
from stylizer.painting.sessions import Device, Sessions

log = structlog.get_logger()

EngineSetting = Literal["auto", "cpu", "cuda", "tensorrt"]
PrecisionSetting = Literal["auto", "bf16", "fp32", "fp16"]
ChosenPrecision = Literal["bf16", "fp32", "fp16"]

LEAST_DB: Final = 50.0
"""How near to fp32 a picture in bfloat16 has to be: differences are of about one level."""

GPU_LEAST_DB: Final = 40.0
"""How near to the processor's fp32 a GPU's picture in fp16 has to be."""

GPU_MOST_LEVELS: Final = 3
"""How many levels of 255 a GPU's fp32 may be away from the processor's, anywhere: 2 in the
network, and 1 because it converts colours itself."""

_PROBE: Final = (3, 96, 160)
_PATCH: Final = 16
_AGAINST_FP32: Final = "of the processor's fp32 on a test frame"


class Choice(NamedTuple):
    """What networks run on and compute in, and why not on another device: sentences."""

    device: Device
    precision: ChosenPrecision
    passed_over: tuple[str, ...] = ()


def network_file(precision: ChosenPrecision) -> Precision:
    """Return which of a style's files a precision runs; bfloat16 is computed from fp32."""
    return "fp32" if precision == "bf16" else precision


def find_lacking(gallery: Gallery, precision: ChosenPrecision) -> list[str]:
    """Return a sentence for each style that has no network in a precision."""
    file = network_file(precision)
    return [
        f"PRECISION={precision}: style {style.name!r} has no {precision} network "
        f"({style.name}.{precision}.onnx, named in its card)"
        for style in gallery.styles.values()
        if file not in style.precisions
    ]


def choose(
    engine: EngineSetting,
    precision: PrecisionSetting,
    gallery: Gallery,
    default_style: str,
    gpu_mem_limit_mib: int | None = None,
) -> Choice:
    """Return what to run on and in.

    "auto" takes a GPU that ONNX Runtime has a provider for, in fp16 or else in fp32; without one
    the processor, in bfloat16 where it computes in it, else in fp32. Each has to start, and to
    paint the default style's test frame as ONNX Runtime does in fp32 on the processor: within
    `GPU_LEAST_DB`, `GPU_MOST_LEVELS` or `LEAST_DB`. What is asked for by name is never replaced.

    Raises:
        ConfigurationError: nothing of what the settings allow can be had; a sentence for each.
    """
    judge = _Judge(gallery, default_style, gpu_mem_limit_mib)
    faults: list[tuple[Device, str]] = []
    for device, candidate in _candidates(engine, precision):
        fault = judge.find_fault(device, candidate)
        if fault is None:
            passed_over = dict.fromkeys(said for other, said in faults if other != device)
            return Choice(device, candidate, tuple(passed_over))
        log.warning("passed over", device=device, precision=candidate, cause=fault)
        faults.append((device, fault))
    raise ConfigurationError([*dict.fromkeys(fault for _, fault in faults)])


def _candidates(
    engine: EngineSetting, precision: PrecisionSetting
) -> Iterator[tuple[Device, ChosenPrecision]]:
    devices: list[Device] = ["cpu"] if engine == "auto" else [engine]
    # bfloat16 is the processor's alone, so whoever asks for it does not mean a GPU.
    if engine == "auto" and precision != "bf16" and has_gpu_provider():
        devices.insert(0, "cuda")
    for device in devices:
        if precision != "auto":
            yield device, precision
            continue
        # ONNX Runtime for CUDA 13 runs on compute capability 7.5 and above, and all of those
        # multiply fp16 at a multiple of the speed of fp32.
        if device != "cpu":
            yield device, "fp16"
        elif bfloat16.is_supported():
            yield device, "bf16"
        yield device, "fp32"


def has_gpu_provider() -> bool:
    """Tell whether this installation of ONNX Runtime can run networks with CUDA."""
    return "CUDAExecutionProvider" in ort.get_available_providers()


class _Judge:
    """Compares pictures with the processor's in fp32, which is painted when first needed."""

    def __init__(self, gallery: Gallery, style: str, gpu_mem_limit_mib: int | None) -> None:
        self._gallery = gallery
        self._style = style
        self._limit = gpu_mem_limit_mib
        self._frame = _test_frame()
        self._exact: Frames | None = None

    def find_fault(self, device: Device, precision: ChosenPrecision) -> str | None:
        """Return a sentence that says what is wrong with a candidate, or None."""
        if precision == "bf16" and not (device == "cpu" and bfloat16.is_supported()):
            return (
                "PRECISION=bf16 needs ENGINE=cpu, the package openvino and a processor with "
                "AVX512_BF16 or AMX; PRECISION=auto takes what there is"
            )
        if device == "cpu" and precision != "bf16":
            return None
        if lacking := find_lacking(self._gallery, precision):
            return lacking[0]
        if self._exact is None:
            self._exact = self._paint("cpu", "fp32")
        try:
            painted = self._paint(device, precision)
        except ConfigurationError as error:
            return "; ".join(error.problems)
        except Exception as error:  # ONNX Runtime raises its own classes, without a common root
            return f"ENGINE={device}: it starts and does not paint: {error}"
        return _difference(device, precision, self._exact, painted)

    def _paint(self, device: Device, precision: ChosenPrecision) -> Frames:
        """Return the planes of the test frame's picture, as a segment shows it."""
        runtime = bfloat16.Bfloat16() if precision == "bf16" else Sessions(device, self._limit)
        try:
            style = self._gallery.find_all(self._style)[0][0]
            painter = runtime.painter(style.name, style.network(network_file(precision)))
        except StyleError as error:
            raise ConfigurationError([error.message]) from error
        layout, (width, height) = runtime.layout, (self._frame.width, self._frame.height)
        frames = layout.batch(1, width, height)
        layout.put(self._frame, frames[0])
        painted = painter(frames, np.zeros((1, 2), np.int32))
        picture: Frames = layout.take(painted[0], width, height).to_ndarray()  # type: ignore[assignment]
        return picture


def _difference(
    device: Device, precision: ChosenPrecision, exact: Frames, painted: Frames
) -> str | None:
    error = exact.astype(np.float32) - painted
    if precision == "fp32":
        levels = int(np.abs(error).max())
        log.info("compared with the processor", device=device, levels=levels)
        if levels <= GPU_MOST_LEVELS:
            return None
        return (
            f"ENGINE={device}: its picture is {levels} levels away from that {_AGAINST_FP32}, and "
            f"{GPU_MOST_LEVELS} are allowed; check the GPU and its driver, or set ENGINE=cpu"
        )
    least = LEAST_DB if device == "cpu" else GPU_LEAST_DB
    decibels = round(float(10 * np.log10(255**2 / max(np.mean(error**2), 1e-9))), 1)
    log.info("compared with fp32", device=device, precision=precision, decibels=decibels)
    if decibels >= least:
        return None
    return (
        f"PRECISION={precision}: on ENGINE={device} its picture is only {decibels} dB near that "
        f"{_AGAINST_FP32}, and {least:g} dB are asked for; PRECISION=fp32 is exact"
    )


def _test_frame() -> av.VideoFrame:
    """Return patches of many colours: edges, flat areas and every level of light."""
    planes, height, width = _PROBE
    patches = np.random.default_rng(0).integers(
        0, 256, (planes, height // _PATCH, width // _PATCH), np.uint8
    )
    return from_planar_rgb(patches.repeat(_PATCH, axis=1).repeat(_PATCH, axis=2))
