"""What can be set about the assembler, beyond what all services share."""

from __future__ import annotations

from pydantic import Field, SecretStr

from shared.service.endpoints import check_encrypted, plain_url
from shared.service.settings import ServiceSettings


class AssemblerSettings(ServiceSettings):
    """The assembler's settings."""

    work_dir: str | None = Field(
        None, description="folder for results while they are made; default: the system's"
    )
    assemblies: int = Field(1, ge=1, le=32, description="results made at once")
    assembly_attempts: int = Field(
        10,
        ge=1,
        description="tries to make a result that end the assembler before it is given up; one more "
        "is made without the tracks beside the picture",
    )
    drafts: int = Field(
        4,
        ge=0,
        le=64,
        description="results begun before their last segments are there; each takes room in "
        "`WORK_DIR`",
    )
    downloads_ahead: int = Field(8, ge=1, le=64, description="segments fetched ahead of the muxer")
    redrive_after_s: float = Field(
        30.0, gt=0, description="time without progress after which a job is looked into"
    )
    redrives: int = Field(
        3, ge=0, description="how often a job's lost chunks are sent to the stylizers again"
    )
    stall_timeout_s: float = Field(
        1800.0,
        gt=0,
        description="time after which a job fails whose split has provably ended without a word",
    )
    status_interval_s: float = Field(
        1.0, gt=0, description="how often a job's status record follows its progress"
    )
    segments_linger_s: float = Field(
        0.0,
        ge=0,
        description="how long segments stay after a job's end, for whoever watches it",
    )
    eventgrid_topic_endpoint: str | None = Field(
        None, description="Event Grid topic for the ends of jobs; unset: none"
    )
    eventgrid_topic_key: SecretStr | None = Field(
        None, description="key of that topic, for local stacks; without one: signing in"
    )

    def problems(self) -> list[str]:
        """Return what cannot work, a topic that is spoken to in the clear included."""
        endpoint = self.eventgrid_topic_endpoint
        host = plain_url(endpoint) if endpoint else None
        problem = check_encrypted("EVENTGRID_TOPIC_ENDPOINT", host, allow_http=self.allow_http)
        if problem is None and host and not self.eventgrid_topic_key:
            problem = (
                "EVENTGRID_TOPIC_ENDPOINT needs https, or EVENTGRID_TOPIC_KEY: tokens need TLS"
            )
        return [*super().problems(), *filter(None, [problem])]
