"""Metrics of the GPUs, read from NVIDIA's driver at every scrape.

They need the package ``nvidia-ml-py``, which comes with the extra ``gpu``. A GPU that the driver no
longer answers for is reported as ``gpu_up`` 0: a card that has fallen off the bus leaves behind a
process that is alive and paints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = structlog.get_logger()

Figure = Callable[[Any, Any], float]
"""Reads one figure of a GPU, given NVML and the GPU's handle."""

_FIGURES: Final[tuple[tuple[str, str, Figure], ...]] = (
    (
        "gpu_utilization_ratio",
        "Share of time in which the GPU computed",
        lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    ),
    (
        "gpu_memory_used_bytes",
        "GPU memory in use",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    (
        "gpu_memory_total_bytes",
        "GPU memory",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
    ),
    (
        "gpu_power_watts",
        "Power that the GPU draws",
        lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    ),
    (
        "gpu_temperature_celsius",
        "Temperature of the GPU",
        lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    ),
)


def watch_gpus(registry: CollectorRegistry, service: str) -> None:
    """Register the metrics of every GPU that this process can see."""
    try:
        nvml = import_module("pynvml")
    except ModuleNotFoundError:
        log.warning("GPU metrics are off: the package nvidia-ml-py is not installed")
        return
    registry.register(GpuCollector(nvml, service))


class GpuCollector(Collector):
    """Reads the GPUs through NVML (the module ``pynvml``), once per scrape."""

    def __init__(self, nvml: Any, service: str) -> None:
        self._nvml = nvml
        self._service = service
        self._lost: set[str] = set()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the current figures, without those that a GPU does not support."""
        gpus = dict(self._gpus())
        up = self._family("gpu_up", "Whether the driver answers for the GPU")
        for index, gpu in gpus.items():
            up.add_metric([index], gpu is not None)
        yield up
        for name, about, figure in _FIGURES:
            family = self._family(name, about)
            for index, gpu in gpus.items():
                value = None if gpu is None else self._read(figure, gpu)
                if value is not None:
                    family.add_metric([index], value)
            yield family

    def _gpus(self) -> Iterator[tuple[str, Any]]:
        """Yield each GPU's index and handle; the handle is None if the GPU does not answer."""
        nvml = self._nvml
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            self._note("0", error)
            yield "0", None
            return
        for index in range(count):
            try:
                gpu = nvml.nvmlDeviceGetHandleByIndex(index)
                self._ask(gpu)
            except nvml.NVMLError as error:
                self._note(str(index), error)
                yield str(index), None
            else:
                self._note(str(index), None)
                yield str(index), gpu

    def _ask(self, gpu: Any) -> None:
        """Raise NVML's error if the GPU is lost: it has a handle then, but tells nothing else."""
        nvml = self._nvml
        try:
            nvml.nvmlDeviceGetMemoryInfo(gpu)
        except nvml.NVMLError as error:
            # Of a part of a GPU, or one that shares the processor's memory.
            if error.value not in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_NO_PERMISSION):
                raise

    def _note(self, index: str, error: Exception | None) -> None:
        """Log once that a GPU was lost, or that it is back."""
        if error is not None and index not in self._lost:
            self._lost.add(index)
            log.error("the driver does not answer for the GPU", gpu=index, error=str(error))
        elif error is None and index in self._lost:
            self._lost.remove(index)
            log.info("the driver answers for the GPU again", gpu=index)

    def _read(self, figure: Figure, gpu: Any) -> float | None:
        try:
            return figure(self._nvml, gpu)
        except self._nvml.NVMLError:
            return None

    def _family(self, name: str, about: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{self._service}_{name}", about, labels=["gpu"])
