"""What can be set about the assembler, beyond what all services share."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


class AssemblerSettings(ServiceSettings):
    """The assembler's settings."""

    work_dir: str | None = Field(
        None, description="folder for results while they are made; default: the system's"
    )
    assemblies: int = Field(1, ge=1, le=32, description="results made at once")
    downloads_ahead: int = Field(8, ge=1, le=64, description="segments fetched ahead of the muxer")
    stall_timeout_s: float = Field(
        1800.0, gt=0, description="time without any progress after which a job is failed"
    )
    status_interval_s: float = Field(
        1.0, gt=0, description="how often a job's status record follows its progress"
    )
    keep_intermediates: bool = Field(False, description="keep chunks and segments of ended jobs")
