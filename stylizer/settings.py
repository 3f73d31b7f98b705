"""The stylizer's settings, beyond those that all services share."""

from __future__ import annotations

from typing import Final, Literal, TypeVar

from pydantic import Field
from pydantic_settings import BaseSettings

from shared.service.machine import usable_cores
from shared.service.settings import SETTINGS, ServiceSettings
from stylizer.painting.precision import EngineSetting, PrecisionSetting

Settings = TypeVar("Settings", bound="PaintingSettings")


_GPU_BATCH: Final = 8
_GPU_PIXELS: Final = 16 << 20


class PaintingSettings(BaseSettings):
    """How segments are made: all that the isolated child needs, which has no access to any hub."""

    model_config = SETTINGS

    engine: EngineSetting = Field(
        "auto",
        description=(
            "where networks run; auto: a GPU that ONNX Runtime can use and that paints a "
            "test frame correctly, else the CPU. Naming a device that is missing is an "
            "error, and tensorrt needs TensorRT, which the images do not contain"
        ),
    )
    precision: PrecisionSetting = Field(
        "auto",
        description="what networks compute in; auto: on a GPU fp16 within 40 dB of fp32, on a "
        "processor that has it bf16 within 50 dB, else fp32. fp16 runs NAME.fp16.onnx, and a style "
        "that lacks it is an error",
    )
    segment_encoder: Literal["auto", "x264", "nvenc"] = Field(
        "x264",
        description="what encodes segments in H.264; auto: the GPU's NVENC where networks run on "
        "the GPU and test segments can be joined, else the processor's x264. nvenc is an error "
        "where NVENC does not work. For pools whose stylizers are alike: where some encode on the "
        "processor, what the others have painted is painted again. HEVC and AV1 are the "
        "processor's",
    )
    chunk_decoder: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="what decodes chunks; auto: the GPU's NVDEC where networks run on the GPU, the "
        "stylizer has fewer than 8 cores and a test chunk comes out as on the processor, else the "
        "processor. cuda is an error where NVDEC does not work",
    )
    lanes: int | None = Field(
        None,
        ge=1,
        le=64,
        description=(
            "chunks painted concurrently, memory permitting; default: one per core, at "
            "least two on a GPU"
        ),
    )
    batch: int | None = Field(
        None,
        ge=1,
        le=64,
        description=(
            "frames per call of the network; default: 1 on a CPU; on a GPU up to 16 "
            "million pixels, at most 8 frames"
        ),
    )
    gpu_mem_limit_mib: int | None = Field(
        None, ge=256, description="limit on the engine's GPU memory"
    )
    default_style: str = Field(
        "starry-night", description="style that is loaded before the service is ready"
    )
    styles_dir: str | None = Field(
        None, description="folder with additional styles (NAME.onnx and NAME.json)"
    )

    @property
    def on_gpu(self) -> bool:
        """Whether the network runs on a GPU; known once `settle` has chosen."""
        return self.engine in {"cuda", "tensorrt"}

    @property
    def lane_count(self) -> int:
        """How many chunks are painted at once."""
        if self.lanes is not None:
            return self.lanes
        # With a GPU, lanes still decode and encode on the processor.
        return max(2, usable_cores()) if self.on_gpu else usable_cores()

    def batch_size(self, width: int, height: int) -> int:
        """Return how many frames of a size go through the network at once.

        Batches slow a processor down. 16 million pixels keep a GPU busy: four times as many gained
        6 % on an H200.
        """
        if self.batch is not None:
            return self.batch
        return max(1, min(_GPU_BATCH, _GPU_PIXELS // (width * height))) if self.on_gpu else 1


def with_engine(settings: Settings, engine: EngineSetting | None) -> Settings:
    """Return the settings with ``engine`` in place of theirs, if one is named."""
    return settings if engine is None else settings.model_copy(update={"engine": engine})


class StylizerSettings(PaintingSettings, ServiceSettings):
    """The stylizer's settings."""

    chunk_attempts: int = Field(
        5,
        ge=1,
        description="attempts before a chunk that fails, hangs or kills its worker is given up",
    )
    chunk_deadline_s: float = Field(
        300.0, gt=0, description="time limit for painting one chunk, after which it counts as hung"
    )
    on_chunk_failure: Literal["fail", "passthrough"] = Field(
        "fail",
        description=(
            "what happens to a chunk that is given up: its job fails, or it keeps its "
            "original frames and the job ends degraded"
        ),
    )
