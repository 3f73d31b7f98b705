"""A machine's equipment for painting on a GPU, and the use of its GPU over time."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Self

from local.machine import describe_machine
from shared.media.probes import find_nvdec_fault, find_nvenc_fault

_SAMPLING_S: Final = 0.1

_PACKAGES: Final = (
    *("onnxruntime", "onnxruntime-gpu", "nvidia-cudnn-cu13", "nvidia-cublas", "tensorrt-cu13"),
    *("openvino", "av", "numpy", "nvidia-ml-py"),
)
_LIBRARIES: Final = (
    *("libcuda.so.1", "libnvcuvid.so.1", "libnvidia-encode.so.1"),
    *("libcudart.so.13", "libcudnn.so.9", "libnvinfer.so.10"),
)
_PREFIXES: Final = ("CUDA_", "NVIDIA_", "LD_LIBRARY_PATH", "ENGINE", "PRECISION")


def facts() -> Iterator[tuple[str, Any]]:
    """Yield versions, devices, libraries, and whether the GPU's codecs work.

    What cannot be found out is a sentence, and the others follow.
    """
    for name, find in _FACTS.items():
        try:
            yield name, find()
        except Exception as error:  # of the driver, or of a package that is missing
            yield name, f"unknown, {type(error).__name__}: {error}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _providers() -> list[str]:
    import onnxruntime as ort

    providers: list[str] = ort.get_available_providers()
    return providers


def _libraries() -> dict[str, str]:
    """Return whether each library loads, as the engine would load it."""
    import onnxruntime as ort

    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    return {name: _loading(name) for name in _LIBRARIES}


def _loading(library: str) -> str:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return "loads"


def _devices() -> list[str]:
    """Return the driver's device files, with their permissions."""
    paths = sorted(Path("/dev").glob("nvidia*"))
    return [f"{path} {path.stat().st_mode & 0o777:o}" for path in paths]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}


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
    figures: dict[str, Callable[[Any], Any]] = {
        "name": nvml.nvmlDeviceGetName,
        "memory_mib": lambda gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total >> 20,
        "compute_capability": nvml.nvmlDeviceGetCudaComputeCapability,
        "driver": lambda _gpu: nvml.nvmlSystemGetDriverVersion(),
        "cuda": lambda _gpu: nvml.nvmlSystemGetCudaDriverVersion(),
        "mig": nvml.nvmlDeviceGetMigMode,
    }
    return [{name: _answer(figure, gpu) for name, figure in figures.items()} for gpu in handles]


def _answer(ask: Callable[[Any], Any], about: Any) -> Any | None:
    """Return a figure, or None if the driver does not tell it, as of a part of a GPU (MIG)."""
    try:
        return ask(about)
    except Exception:  # NVML's error classes are in the package
        return None


_FACTS: Final[dict[str, Callable[[], Any]]] = {
    "machine": describe_machine,
    "packages": lambda: {name: _version(name) for name in _PACKAGES},
    "environment": _environment,
    "devices": _devices,
    "gpus": _gpus,
    "libraries": _libraries,
    "providers": _providers,
    "NVENC": lambda: find_nvenc_fault() or "works",
    "NVDEC": lambda: find_nvdec_fault() or "works",
}


class GpuWatch:
    """Samples the utilisation and memory of the first GPU while its context is open."""

    def __init__(self) -> None:
        self.use: float | None = None
        """Mean utilisation of the GPU, 0 to 1; None if unknown."""
        self.memory_mib: int | None = None
        """The peak of used memory; None if unknown."""
        self._nvml: Any = _nvml()
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
        if self._uses:
            self.use = sum(self._uses) / len(self._uses) / 100

    def _sample(self) -> None:
        gpu = _answer(self._nvml.nvmlDeviceGetHandleByIndex, 0)
        while True:
            if (uses := _answer(self._nvml.nvmlDeviceGetUtilizationRates, gpu)) is not None:
                self._uses.append(uses.gpu)
            if (memory := _answer(self._nvml.nvmlDeviceGetMemoryInfo, gpu)) is not None:
                self.memory_mib = max(self.memory_mib or 0, memory.used >> 20)
            if self._stop.wait(_SAMPLING_S):
                return
