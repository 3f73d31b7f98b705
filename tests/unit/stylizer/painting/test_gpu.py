"""GPU metrics, read through NVIDIA's own bindings from a simulated driver.

There is no GPU on the machines that run this test. The simulated functions are checked against
the signatures of the real ones.
"""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import create_autospec

import pynvml
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from stylizer.metrics import StylizerMetrics
from stylizer.painting.gpu import GpuCollector

GIB = 1 << 30


class Driver:
    """NVML with one GPU that computes; ``gone`` makes it fall off its bus."""

    def __init__(self) -> None:
        self.nvml = create_autospec(pynvml)
        for name in ("NVMLError", "NVML_ERROR_NOT_SUPPORTED", "NVML_ERROR_NO_PERMISSION"):
            setattr(self.nvml, name, getattr(pynvml, name))
        self.nvml.nvmlDeviceGetCount.return_value = 1
        self.nvml.nvmlDeviceGetUtilizationRates.return_value = SimpleNamespace(gpu=87, memory=40)
        self.nvml.nvmlDeviceGetMemoryInfo.return_value = SimpleNamespace(
            used=3 * GIB, total=16 * GIB
        )
        self.nvml.nvmlDeviceGetPowerUsage.return_value = 71_500
        self.nvml.nvmlDeviceGetTemperature.return_value = 64

    def gone(self) -> None:
        lost = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        self.nvml.nvmlDeviceGetMemoryInfo.side_effect = lost

    def back(self) -> None:
        self.nvml.nvmlDeviceGetMemoryInfo.side_effect = None


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def registry(driver: Driver) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(GpuCollector(driver.nvml, "stylizer"))
    return registry


def test_a_gpus_metrics_are_in_base_units(registry: CollectorRegistry) -> None:
    gpu = {"gpu": "0"}
    assert registry.get_sample_value("stylizer_gpu_up", gpu) == 1
    assert registry.get_sample_value("stylizer_gpu_utilization_ratio", gpu) == 0.87
    assert registry.get_sample_value("stylizer_gpu_memory_used_bytes", gpu) == 3 * GIB
    assert registry.get_sample_value("stylizer_gpu_memory_total_bytes", gpu) == 16 * GIB
    assert registry.get_sample_value("stylizer_gpu_power_watts", gpu) == 71.5
    assert registry.get_sample_value("stylizer_gpu_temperature_celsius", gpu) == 64


def test_a_gpu_that_is_lost_while_the_process_lives_is_down_and_has_no_figures(
    driver: Driver, registry: CollectorRegistry
) -> None:
    driver.gone()
    assert registry.get_sample_value("stylizer_gpu_up", {"gpu": "0"}) == 0
    assert registry.get_sample_value("stylizer_gpu_utilization_ratio", {"gpu": "0"}) is None
    driver.back()
    assert registry.get_sample_value("stylizer_gpu_up", {"gpu": "0"}) == 1


def test_a_metric_that_a_gpu_lacks_hides_no_other(
    driver: Driver, registry: CollectorRegistry
) -> None:
    unsupported = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    driver.nvml.nvmlDeviceGetPowerUsage.side_effect = unsupported
    assert registry.get_sample_value("stylizer_gpu_power_watts", {"gpu": "0"}) is None
    assert registry.get_sample_value("stylizer_gpu_temperature_celsius", {"gpu": "0"}) == 64


@pytest.mark.parametrize(
    "refusal", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION]
)
def test_a_gpu_that_does_not_tell_its_memory_is_not_lost(
    driver: Driver, registry: CollectorRegistry, refusal: int
) -> None:
    driver.nvml.nvmlDeviceGetMemoryInfo.side_effect = pynvml.NVMLError(refusal)
    assert registry.get_sample_value("stylizer_gpu_up", {"gpu": "0"}) == 1
    assert registry.get_sample_value("stylizer_gpu_memory_used_bytes", {"gpu": "0"}) is None
    assert registry.get_sample_value("stylizer_gpu_utilization_ratio", {"gpu": "0"}) == 0.87


def test_a_stylizer_on_a_gpu_without_a_driver_says_that_it_is_down() -> None:
    registry = CollectorRegistry()
    StylizerMetrics(registry).runs_on("cuda", "fp32")
    told = generate_latest(registry).decode()
    assert 'stylizer_device_info{device="cuda"} 1.0' in told
    assert 'stylizer_gpu_up{gpu="0"} 0.0' in told


def test_a_stylizer_on_the_cpu_says_nothing_about_gpus() -> None:
    registry = CollectorRegistry()
    StylizerMetrics(registry).runs_on("cpu", "fp32")
    told = generate_latest(registry).decode()
    assert 'stylizer_device_info{device="cpu"} 1.0' in told
    assert "gpu" not in told
