"""Decides in which precision a network runs: the fastest that the machine has and that is right."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import structlog

from shared.contracts.errors import ConfigurationError
from shared.styles.gallery import Gallery, Precision
from stylizer.painting import bfloat16
from stylizer.painting.sessions import Device, Frames, Sessions

log = structlog.get_logger()

PrecisionSetting = Literal["auto", "bf16", "fp32", "fp16"]
ChosenPrecision = Literal["bf16", "fp32", "fp16"]

LEAST_DB: Final = 45.0
"""How near to fp32 a picture has to be: at 45 dB, differences are of about one level."""

_PROBE: Final = (1, 3, 96, 160)
_PATCH: Final = 16


def network_file(precision: ChosenPrecision) -> Precision:
    """Return which of a style's files a precision runs; bfloat16 is computed from fp32."""
    return "fp32" if precision == "bf16" else precision


def choose(
    setting: PrecisionSetting, device: Device, gallery: Gallery, default_style: str
) -> ChosenPrecision:
    """Return the precision to run in.

    "auto" is bfloat16 where the processor computes in it and the default style's picture of a test
    frame is within `LEAST_DB` of fp32, else fp32.

    Raises:
        ConfigurationError: bfloat16 is asked for by name and cannot be had.
    """
    if setting != "auto" and setting != "bf16":  # noqa: PLR1714 - a set would hide the type
        return setting
    possible = device == "cpu" and bfloat16.is_supported()
    if setting == "bf16" and not possible:
        raise ConfigurationError(
            [
                "PRECISION=bf16 needs ENGINE=cpu, the package openvino and a "
                "processor with AVX512_BF16 or AMX; PRECISION=auto takes what there is"
            ]
        )
    if not possible:
        return "fp32"
    likeness = _likeness_db(gallery, default_style)
    if setting == "auto" and likeness < LEAST_DB:
        log.warning("bfloat16 is not used: its picture differs", decibels=round(likeness, 1))
        return "fp32"
    log.info("networks run in bfloat16", decibels_to_fp32=round(likeness, 1))
    return "bf16"


def _likeness_db(gallery: Gallery, style: str) -> float:
    """Compare one picture in bfloat16 and in fp32: PSNR in decibels."""
    network = gallery.find_all(style)[0][0].network("fp32")
    frame = _test_frame()
    corner = np.zeros((1, 2), np.int32)
    exact = Sessions("cpu", None).painter(style, network)(frame, corner)
    fast = bfloat16.Bfloat16().painter(style, network)(frame, corner)
    error = np.mean((exact.astype(np.float32) - fast) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def _test_frame() -> Frames:
    """Return patches of many colours: edges, flat areas and every level of light."""
    number, planes, height, width = _PROBE
    patches = np.random.default_rng(0).integers(
        0, 256, (number, planes, height // _PATCH, width // _PATCH), np.uint8
    )
    return patches.repeat(_PATCH, axis=2).repeat(_PATCH, axis=3)
