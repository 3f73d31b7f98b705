"""What can be set about the splitter, beyond what all services share."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from shared.settings import ServiceSettings
from splitter.limits import Limits

_DEFAULTS: Final = Limits()


class SplitterSettings(ServiceSettings):
    """The splitter's settings."""

    chunk_frames: int = Field(32, ge=1, le=1024, description="frames in a chunk")
    first_chunk_frames: int = Field(
        8, ge=1, le=1024, description="frames in a video's first chunk; they double from there"
    )
    default_style: str = Field("starry-night", description="style of uploads that name none")
    splits: int = Field(2, ge=1, le=32, description="videos split at once")
    uploads_ahead: int = Field(4, ge=1, le=64, description="chunks of a video on their way at once")
    progress_interval_s: float = Field(
        1.0, gt=0, description="how often the record of a split's progress is written"
    )
    frame_deadline_s: float = Field(
        60.0, gt=0, description="time without any progress after which a decoder is stopped"
    )
    work_dir: str | None = Field(
        None, description="folder for tracks while they are copied; default: the system's"
    )
    max_bytes: int = Field(_DEFAULTS.max_bytes, ge=1, description="largest upload in bytes")
    max_pixels: int = Field(_DEFAULTS.max_pixels, ge=4, description="largest picture in pixels")
    max_frames: int = Field(_DEFAULTS.max_frames, ge=1, description="longest video in frames")
    max_duration_s: float = Field(
        _DEFAULTS.max_duration_s, gt=0, description="longest video in seconds"
    )
    max_rate: float = Field(_DEFAULTS.max_rate, gt=0, description="highest mean of frames a second")
    min_decodable: float = Field(
        _DEFAULTS.min_decodable,
        ge=0,
        le=1,
        description="share of frames below which damage refuses",
    )
    decoder_memory_bytes: int = Field(
        _DEFAULTS.memory_bytes, ge=2**28, description="memory that decoding one video may take"
    )
    decoder_cpu_s: int = Field(
        _DEFAULTS.cpu_s, ge=1, description="processor time that decoding one video may take"
    )
    upload_suffixes: str = Field(
        "", description="accepted name endings, comma-separated such as .mp4,.mov; empty: all"
    )

    @property
    def limits(self) -> Limits:
        """What an upload may be, and what decoding it may cost."""
        return Limits(
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            max_frames=self.max_frames,
            max_duration_s=self.max_duration_s,
            max_rate=self.max_rate,
            min_decodable=self.min_decodable,
            memory_bytes=self.decoder_memory_bytes,
            cpu_s=self.decoder_cpu_s,
        )
