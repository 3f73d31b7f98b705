"""The codecs of NVIDIA GPUs: the sizes that they support, and how FFmpeg reaches the decoder.

FFmpeg decodes in the CUDA context that ONNX Runtime uses as well. A context costs hundreds of
megabytes of the GPU's memory, and takes long to create compared with a chunk; by default, FFmpeg
creates one for every file.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from dataclasses import dataclass
from typing import Final

from av.codec.hwaccel import HWAccel

_DRIVER: Final = "libcuda.so.1"
_FIRST_GPU: Final = 0


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of pictures that hardware supports, in pixels, both ends included."""

    least_width: int
    least_height: int
    most: int

    def takes(self, width: int, height: int) -> bool:
        """Return whether pictures of this size are supported."""
        return self.least_width <= width <= self.most and self.least_height <= height <= self.most


# For H.264, what all GPUs since Maxwell support; some support smaller sizes, too.
NVENC_SIZES: Final = Sizes(160, 64, 4096)
NVDEC_SIZES: Final = Sizes(64, 64, 4096)

NVENC_TURNS: Final = threading.BoundedSemaphore(6)
"""Held by each encoder of this process. The drivers of consumers' GPUs open eight for all programs
together, twelve from 591 on, and refuse more in the words of a machine without memory. A GPU has
one to four encoders, so that six at once keep them busy."""


def driver_cuda() -> tuple[int, int] | None:
    """Return the newest CUDA that NVIDIA's driver here supports, or None without a driver.

    A machine with a GPU mounts its driver into its containers.
    """
    version = ctypes.c_int()
    try:
        code = ctypes.CDLL(_DRIVER).cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return None if code else (version.value // 1000, version.value % 1000 // 10)


def cuda_decoder() -> HWAccel:
    """Return the argument that makes PyAV decode a file on the first visible GPU.

    The calling thread, which must also open the file, is in the GPU's primary context from now on.

    Raises:
        OSError: there is no driver, or it has no GPU; the sentence says so.
    """
    driver, context = _primary_context()
    _check(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent")
    return HWAccel("cuda", allow_software_fallback=False, options={"current_ctx": "1"})


@functools.cache
def _primary_context() -> tuple[ctypes.CDLL, ctypes.c_void_p]:
    driver = ctypes.CDLL(_DRIVER)
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _check(driver.cuInit(0), "cuInit")
    _check(driver.cuDeviceGet(ctypes.byref(device), _FIRST_GPU), "cuDeviceGet")
    _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device), "its primary context")
    return driver, context


def _check(code: int, what: str) -> None:
    if code:
        raise OSError(code, f"the driver refuses {what} with error {code}")
