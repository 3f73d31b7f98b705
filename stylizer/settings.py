"""What can be set about the stylizer, beyond what all services share."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.service.settings import SETTINGS, ServiceSettings
from stylizer.painting.precision import PrecisionSetting


def usable_cores() -> int:
    """Count the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class PaintingSettings(BaseSettings):
    """How segments are made: all that the isolated child knows, which needs no way to any hub."""

    model_config = SETTINGS

    engine: Literal["cpu", "cuda", "tensorrt"] = Field(
        "cpu",
        description="where the network runs; a GPU that is asked for and missing is an error, and "
        "tensorrt needs TensorRT, which the images do not hold",
    )
    precision: PrecisionSetting = Field(
        "auto",
        description="what networks compute in; auto: bf16 where the processor has it and the "
        "picture stays within 45 dB of fp32, else fp32. fp16 runs NAME.fp16.onnx, and a style "
        "that lacks it is an error",
    )
    lanes: int | None = Field(
        None,
        ge=1,
        le=64,
        description="chunks painted at once; default: one a core on CPU, two on a GPU",
    )
    batch: int | None = Field(
        None,
        ge=1,
        le=64,
        description="frames in one call of the network; default: 1 on CPU, 8 on a GPU",
    )
    gpu_mem_limit_mib: int | None = Field(
        None, ge=256, description="cap on the engine's GPU memory"
    )
    default_style: str = Field(
        "starry-night", description="style that is loaded before being ready"
    )
    styles_dir: str | None = Field(
        None, description="folder with further styles (NAME.onnx and NAME.json)"
    )

    @property
    def lane_count(self) -> int:
        """How many chunks are painted at once."""
        if self.lanes is not None:
            return self.lanes
        return usable_cores() if self.engine == "cpu" else 2

    @property
    def batch_size(self) -> int:
        """How many frames go through the network at once; batching slows a CPU and speeds a GPU."""
        if self.batch is not None:
            return self.batch
        return 1 if self.engine == "cpu" else 8


class StylizerSettings(PaintingSettings, ServiceSettings):
    """The stylizer's settings."""

    chunk_attempts: int = Field(
        5,
        ge=1,
        description="tries before a chunk is given up that raises, hangs or kills its worker",
    )
    chunk_deadline_s: float = Field(
        300.0, gt=0, description="time for painting one chunk, after which it counts as hung"
    )
    on_chunk_failure: Literal["fail", "passthrough"] = Field(
        "fail",
        description="what becomes of a chunk that is given up: its job fails, or the chunk keeps "
        "its original frames and the job ends degraded",
    )
