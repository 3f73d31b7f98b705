"""The few functions of CUDA's runtime library that ONNX Runtime's Python interface does not offer.

The library is the one that ONNX Runtime has loaded, or loads later, of the same major version.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Final, Protocol

import onnxruntime as ort
import structlog

log = structlog.get_logger()

_BLOCKING_SYNC: Final = 4
"""``cudaDeviceScheduleBlockingSync``"""


class Runtime(Protocol):
    """The functions, as ``ctypes`` calls them; each returns an error code, 0 for none."""

    def cudaHostAlloc(self, address: object, size: object, flags: object, /) -> int: ...  # noqa: N802
    def cudaFreeHost(self, address: object, /) -> int: ...  # noqa: N802
    def cudaSetDeviceFlags(self, flags: object, /) -> int: ...  # noqa: N802


@functools.cache
def runtime_library() -> Runtime | None:
    """Return CUDA's runtime library, or None if it cannot be loaded."""
    major = str(getattr(ort, "cuda_version", "")).split(".")[0]
    try:
        library: Runtime = ctypes.CDLL(f"libcudart.so.{major}")
    except OSError:
        return None
    return library


def wait_without_spinning(library: Runtime | None) -> None:
    """Make threads block while they wait for the GPU; call this before any other use of it.

    Otherwise each of them keeps a core busy that the codecs of other lanes need.
    """
    if library is not None and (code := library.cudaSetDeviceFlags(ctypes.c_uint(_BLOCKING_SYNC))):
        log.warning("threads that wait for the GPU spin", cuda_error=code)
