"""Chooses device and precision: the fastest that the machine has and that paints correctly.

Anything other than ONNX Runtime in fp32 on the processor has to show, on a test frame at the start,
that it paints the same picture.
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
from stylizer.painting.sessions import Device, Sessions, complaint

log = structlog.get_logger()

EngineSetting = Literal["auto", "cpu", "cuda", "tensorrt"]
PrecisionSetting = Literal["auto", "bf16", "fp32", "fp16"]
ChosenPrecision = Literal["bf16", "fp32", "fp16"]

LEAST_DB: Final = 50.0
"""Least PSNR of a picture in bfloat16 against fp32: differences of about one level."""

GPU_LEAST_DB: Final = 40.0
"""Least PSNR of a GPU's picture in fp16 against the processor's in fp32."""

GPU_MOST_LEVELS: Final = 3
"""Largest difference, in levels of 255, of a GPU's picture in fp32 from the processor's: 2 from the
network, and 1 because it converts colours itself."""

_PROBE: Final = (3, 96, 160)
_PATCH: Final = 16
_AGAINST_FP32: Final = "of the processor's fp32 on a test frame"


class Choice(NamedTuple):
    """The device and precision of networks, and sentences that say why not another device."""

    device: Device
    precision: ChosenPrecision
    passed_over: tuple[str, ...] = ()


def network_file(precision: ChosenPrecision) -> Precision:
    """Return which of a style's files a precision runs; bfloat16 runs the one in fp32."""
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
    """Return the device and precision to run networks with.

    "auto" takes a GPU that ONNX Runtime has a provider for, in fp16 or else in fp32; otherwise the
    processor, in bfloat16 where it supports it, else in fp32. Each candidate has to start, and to
    paint a test frame in the default style as ONNX Runtime does in fp32 on the processor: within
    `GPU_LEAST_DB`, `GPU_MOST_LEVELS` or `LEAST_DB`. What is asked for by name is never replaced.

    Raises:
        ConfigurationError: none of the candidates works; a sentence for each.
    """
    judge = _Judge(gallery, default_style, gpu_mem_limit_mib)
    faults: list[tuple[Device, str]] = []
    for device, candidate in _candidates(engine, precision):
        fault = judge.find_fault(device, candidate)
        if fault is None:
            passed_over = dict.fromkeys(cause for other, cause in faults if other != device)
            return Choice(device, candidate, tuple(passed_over))
        log.warning("engine skipped", device=device, precision=candidate, cause=fault)
        faults.append((device, fault))
    raise ConfigurationError([*dict.fromkeys(fault for _, fault in faults)])


def _candidates(
    engine: EngineSetting, precision: PrecisionSetting
) -> Iterator[tuple[Device, ChosenPrecision]]:
    devices: list[Device] = ["cpu"] if engine == "auto" else [engine]
    # Only the processor runs bfloat16, so asking for it rules out a GPU.
    if engine == "auto" and precision != "bf16" and has_gpu_provider():
        devices.insert(0, "cuda")
    for device in devices:
        if precision != "auto":
            yield device, precision
            continue
        # ONNX Runtime for CUDA 13 needs compute capability 7.5 or above, where fp16 is always
        # several times as fast as fp32.
        if device != "cpu":
            yield device, "fp16"
        elif bfloat16.is_supported():
            yield device, "bf16"
        yield device, "fp32"


def has_gpu_provider() -> bool:
    """Return whether this installation of ONNX Runtime can run networks with CUDA."""
    return "CUDAExecutionProvider" in ort.get_available_providers()


class _Judge:
    """Compares pictures with the processor's in fp32, which it paints when first needed."""

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
            return (
                f"ENGINE={device}: it starts, but cannot paint a test frame ({complaint(error)}); "
                "check the GPU and its driver, or set ENGINE=cpu"
            )
        return _difference(device, precision, self._exact, painted)

    def _paint(self, device: Device, precision: ChosenPrecision) -> Frames:
        """Return the planes of the painted test frame, as a segment would show it."""
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
            f"ENGINE={device}: its picture differs by {levels} levels from that "
            f"{_AGAINST_FP32}, and at most {GPU_MOST_LEVELS} are allowed; check the GPU and "
            "its driver, or set ENGINE=cpu"
        )
    least = LEAST_DB if device == "cpu" else GPU_LEAST_DB
    decibels = round(float(10 * np.log10(255**2 / max(np.mean(error**2), 1e-9))), 1)
    log.info("compared with fp32", device=device, precision=precision, decibels=decibels)
    if decibels >= least:
        return None
    return (
        f"PRECISION={precision}: on ENGINE={device} its picture matches that {_AGAINST_FP32} "
        f"to only {decibels} dB, and at least {least:g} dB are required; PRECISION=fp32 is exact"
    )


def _test_frame() -> av.VideoFrame:
    """Return patches of many colours: edges, flat areas and every level of light."""
    planes, height, width = _PROBE
    patches = np.random.default_rng(0).integers(
        0, 256, (planes, height // _PATCH, width // _PATCH), np.uint8
    )
    return from_planar_rgb(patches.repeat(_PATCH, axis=1).repeat(_PATCH, axis=2))
