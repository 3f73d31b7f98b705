"""What can be set about the splitter, beyond what all services share."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


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
    upload_suffixes: str = Field(
        "", description="accepted name endings, comma-separated such as .mp4,.mov; empty: all"
    )
