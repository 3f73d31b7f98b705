"""What can be set about the stylizer, beyond what all services share."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field

from shared.settings import ServiceSettings


def usable_cores() -> int:
    """Count the CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class StylizerSettings(ServiceSettings):
    """The stylizer's settings."""

    engine: Literal["cpu", "cuda", "tensorrt"] = Field(
        "cpu", description="where the network runs; a GPU that is asked for and missing is an error"
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
    segment_crf: int = Field(
        20, ge=0, le=51, description="x264 quality of the result; lower is better and larger"
    )
    segment_preset: str = Field("superfast", description="x264 speed of the result's encoder")
    default_style: str = Field(
        "starry-night", description="style that is loaded before being ready"
    )
    chunk_attempts: int = Field(
        3, ge=1, description="tries before a chunk whose processing raises is given up"
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
