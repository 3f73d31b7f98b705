"""A machine's equipment for painting on a GPU, and the use of its GPU over time."""

from __future__ import annotations

import ctypes.util
import threading
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Self

from local.machine import describe_machine
from shared.media.probes import find_nvdec_fault, find_nvenc_fault

_SAMPLING_S = 0.1


def facts() -> dict[str, Any]:
    """Return versions, devices, the driver's libraries, and whether its codecs work."""
    import onnxruntime as ort

    return {
        "machine": describe_machine(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "providers": ort.get_available_providers(),
        "gpus": _gpus(),
        "libraries": {name: ctypes.util.find_library(name) for name in _LIBRARIES},
        "NVENC": find_nvenc_fault() or "works",
        "NVDEC": find_nvdec_fault() or "works",
    }


_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "openvino", "av", "numpy", "nvidia-ml-py")
_LIBRARIES = ("cuda", "cudart", "cudnn", "nvinfer", "nvcuvid", "nvidia-encode")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _nvml() -> Any | None:
    """Return NVML, initialised; None without the package or the driver."""
    try:
        nvml: Any = import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # NVML's error classes are in the package
        return None
    return nvml


def _gpus() -> list[dict[str, Any]]:
    nvml = _nvml()
    if nvml is None:
        return []
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    return [
        {
            "name": nvml.nvmlDeviceGetName(gpu),
            "memory_mib": nvml.nvmlDeviceGetMemoryInfo(gpu).total >> 20,
            "compute_capability": nvml.nvmlDeviceGetCudaComputeCapability(gpu),
            "driver": nvml.nvmlSystemGetDriverVersion(),
        }
        for gpu in handles
    ]


class GpuWatch:
    """Samples the utilisation and memory of the first GPU while its context is open."""

    def __init__(self) -> None:
        self.use: float | None = None
        """Mean utilisation of the GPU, 0 to 1; None if unknown."""
        self.memory_mib: int | None = None
        """The peak of used memory."""
        self._nvml = _nvml()
        self._stop = threading.Event()
        self._uses: list[int] = []

    def __enter__(self) -> Self:
        if self._nvml is not None:
            self._thread = threading.Thread(target=self._sample, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._nvml is None:
            return
        self._stop.set()
        self._thread.join()
        self.use = sum(self._uses) / len(self._uses) / 100

    def _sample(self) -> None:
        nvml: Any = self._nvml
        gpu = nvml.nvmlDeviceGetHandleByIndex(0)
        while True:
            self._uses.append(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
            used = nvml.nvmlDeviceGetMemoryInfo(gpu).used >> 20
            self.memory_mib = max(self.memory_mib or 0, used)
            if self._stop.wait(_SAMPLING_S):
                return
